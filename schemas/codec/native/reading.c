/* Avro bytes to instances. Nothing here trusts the bytes: each length is checked against what is left. */
#include "avro.h"

PyObject *malformed(const Program *program, const Op *op, const Reader *reader, const char *what) {
    PyErr_Clear();
    PyObject *message = PyUnicode_FromFormat(
        "%s.%U: %s, at byte %zd", program->model->tp_name, op->name, what, (Py_ssize_t)(reader->at - reader->start));
    PyObject *nothing = message == NULL ? NULL : PyObject_CallOneArg(scalars.malformed, message);
    Py_XDECREF(message);
    if (nothing != NULL) {
        Py_DECREF(nothing);
        PyErr_SetString(PyExc_SystemError, "malformed() raises");
    }
    return NULL;
}

bool read_long_slowly(Reader *reader, uint64_t *value) {
    const uint8_t *at = reader->at;
    uint64_t read = 0;
    for (int shift = 0; shift < 70; shift += 7) {
        if (at >= reader->end) return false;
        uint8_t byte = *at++;
        if (shift == 63 && byte > 1) return false;
        read |= (uint64_t)(byte & 127) << shift;
        if (byte < 128) {
            *value = read;
            reader->at = at;
            return true;
        }
    }
    return false;
}

/* The length of text, octets or a decimal; false with an exception set. */
static inline bool read_length(const Program *program, const Op *op, Reader *reader, Py_ssize_t *size) {
    uint64_t raw;
    if (!read_unsigned(reader, &raw)) {
        malformed(program, op, reader, "no length");
        return false;
    }
    if ((raw & 1) || raw >> 1 > (uint64_t)(reader->end - reader->at)) {
        malformed(program, op, reader, "length beyond the end");
        return false;
    }
    *size = (Py_ssize_t)(raw >> 1);
    return true;
}

static PyObject *read_number(const Program *program, const Op *op, Reader *reader) {
    int64_t number;
    if (!read_long(reader, &number)) return malformed(program, op, reader, "no number of 64 bits");
    if (op->kind == LONG) return PyLong_FromLongLong(number);
    PyObject *value = op->kind == INSTANT ? instant_from(number) : day_from(number);
    if (value == NULL && !PyErr_Occurred()) return malformed(program, op, reader, "outside the years 1 to 9999");
    return value;
}

static PyObject *read_octets(const Program *program, const Op *op, Reader *reader) {
    Py_ssize_t size;
    if (!read_length(program, op, reader, &size)) return NULL;
    const uint8_t *data = reader->at;
    reader->at += size;
    if (op->kind == TEXT) {
        PyObject *text = text_from(op->memory, data, size);
        if (text == NULL && PyErr_ExceptionMatches(PyExc_UnicodeDecodeError))
            return malformed(program, op, reader, "not UTF-8");
        return text;
    }
    if (op->kind == OCTETS) return PyBytes_FromStringAndSize((const char *)data, size);
    PyObject *decimal = decimal_from(program, op, data, size);
    if (decimal == NULL && !PyErr_Occurred())
        return malformed(program, op, reader, "a decimal without bytes or of more digits than its precision");
    return decimal;
}

static PyObject *read_boolean(const Program *program, const Op *op, Reader *reader) {
    if (reader->at >= reader->end || *reader->at > 1) return malformed(program, op, reader, "no boolean");
    return PyBool_FromLong(*reader->at++);
}

static inline PyObject *read_one(const Program *program, const Op *op, Reader *reader) {
    switch (op->kind) {
    case RECORD:
        return read_record(op->record, reader, NULL);
    case BOOLEAN:
        return read_boolean(program, op, reader);
    case LONG:
    case INSTANT:
    case DAY:
        return read_number(program, op, reader);
    default:
        return read_octets(program, op, reader);
    }
}

/* The count of a block's items, 0 at the end of the list, -1 with an exception. */
static int64_t read_block(const Program *program, const Op *op, Reader *reader) {
    int64_t count, size;
    if (!read_long(reader, &count) || count == INT64_MIN || (count < 0 && !read_long(reader, &size))) {
        malformed(program, op, reader, "no item count");
        return -1;
    }
    if (count < 0) count = -count;
    if (count > reader->end - reader->at) { /* each item has at least one byte */
        malformed(program, op, reader, "more items than bytes");
        return -1;
    }
    return count;
}

static PyObject *read_list(const Program *program, const Op *op, Reader *reader) {
    PyObject *list = PyList_New(0);
    if (list == NULL) return NULL;
    for (;;) {
        int64_t count = read_block(program, op, reader);
        if (count == 0) return list;
        for (; count > 0; count--) {
            PyObject *item = read_one(program, op, reader);
            int failed = item == NULL ? -1 : PyList_Append(list, item);
            Py_XDECREF(item);
            if (failed) break;
        }
        if (count != 0) break;
    }
    Py_DECREF(list);
    return NULL;
}

/* Put one field into `fields`, where it is None so far. */
static inline bool read_field(const Program *program, const Op *op, Reader *reader, PyObject *fields) {
    if (op->is_optional) {
        if (reader->at >= reader->end || (*reader->at != 0 && *reader->at != 2)) {
            malformed(program, op, reader, "no union branch");
            return false;
        }
        if (*reader->at++ == 0) return true;
    }
    PyObject *value = op->is_list ? read_list(program, op, reader) : read_one(program, op, reader);
    if (value == NULL) return false;
    int failed = PyDict_SetItem(fields, op->name, value);
    Py_DECREF(value);
    return !failed;
}

static inline void put_slot(PyObject *instance, Py_ssize_t offset, PyObject *value) {
    Py_INCREF(value);
    *(PyObject **)((char *)instance + offset) = value;
}

/* Takes over the reference to `fields`. What pydantic's own `model_construct` sets is set, no more. */
static PyObject *instance_of(const Program *program, PyObject *fields) {
    PyTypeObject *model = program->model;
    PyObject *instance = PyObject_GC_New(PyObject, model);
    if (instance == NULL) {
        Py_DECREF(fields);
        return NULL;
    }
    memset((char *)instance + sizeof(PyObject), 0, (size_t)model->tp_basicsize - sizeof(PyObject));
    put_slot(instance, program->fields_set_offset, program->fields_set);
    put_slot(instance, program->extra_offset, Py_None);
    put_slot(instance, program->private_offset, Py_None);
    if (PyObject_GenericSetDict(instance, fields, NULL)) {
        Py_DECREF(fields);
        Py_DECREF(instance);
        return NULL;
    }
    /* A frozen instance cannot come to refer to itself, so the cycle collector need not walk over millions of them.
       (Only a list put into itself by way of its owner would stay for ever; the lists themselves are tracked.) */
    if (program->is_frozen) {
        if (PyObject_GC_IsTracked(fields)) PyObject_GC_UnTrack(fields);
    } else {
        PyObject_GC_Track(instance);
    }
    Py_DECREF(fields);
    return instance;
}

static bool keep_section(PyObject *sections, const uint8_t *from, const Reader *reader) {
    PyObject *section = PyBytes_FromStringAndSize((const char *)from, reader->at - from);
    int failed = section == NULL ? -1 : PyList_Append(sections, section);
    Py_XDECREF(section);
    return !failed;
}

PyObject *read_record(const Program *program, Reader *reader, PyObject *sections) {
    PyObject *fields = PyDict_Copy(program->blank);
    if (fields == NULL) return NULL;
    for (Py_ssize_t index = 0; index < program->count; index++) {
        const uint8_t *from = reader->at;
        if (!read_field(program, &program->ops[index], reader, fields) ||
            (sections != NULL && index >= program->head && !keep_section(sections, from, reader))) {
            Py_DECREF(fields);
            return NULL;
        }
    }
    return instance_of(program, fields);
}
