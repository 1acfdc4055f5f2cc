/* Instances to Avro bytes. A value of another type than its field's is refused. */
#include "avro.h"

bool refuse(const Program *program, const Op *op, PyObject *value) {
    PyErr_Clear();
    PyObject *nothing = NULL;
    PyObject *where = op == NULL ? PyUnicode_FromString(program->model->tp_name)
                                 : PyUnicode_FromFormat("%s.%U", program->model->tp_name, op->name);
    PyObject *expected = where == NULL || op != NULL
                             ? NULL
                             : PyUnicode_FromFormat("one %s", program->model->tp_name);
    if (where != NULL && (op != NULL || expected != NULL))
        nothing = PyObject_CallFunctionObjArgs(
            scalars.refuse, value, where, op == NULL ? expected : op->expected, NULL);
    Py_XDECREF(where);
    Py_XDECREF(expected);
    if (nothing != NULL) {
        Py_DECREF(nothing);
        PyErr_SetString(PyExc_SystemError, "refuse() raises");
    }
    return false;
}

bool grow(Writer *writer, size_t size) {
    size_t used = (size_t)(writer->at - writer->start), capacity = (size_t)(writer->end - writer->start);
    if (size > (size_t)PY_SSIZE_T_MAX / 4 || capacity > (size_t)PY_SSIZE_T_MAX / 4) {
        PyErr_NoMemory();
        return false;
    }
    capacity = capacity * 2 > used + size ? capacity * 2 : used + size;
    uint8_t *bigger = PyMem_Realloc(writer->start == writer->local ? NULL : writer->start, capacity);
    if (bigger == NULL) {
        PyErr_NoMemory();
        return false;
    }
    if (writer->start == writer->local) memcpy(bigger, writer->local, used);
    writer->start = bigger;
    writer->at = bigger + used;
    writer->end = bigger + capacity;
    return true;
}

static enum Outcome put_number(Writer *writer, PyObject *value) {
    if (!PyLong_Check(value) || PyBool_Check(value)) return UNFIT;
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow) return UNFIT;
    if (number == -1 && PyErr_Occurred()) return FAILED;
    if (!reserve(writer, 10)) return FAILED;
    put_long(writer, number);
    return WRITTEN;
}

static enum Outcome put_text(Writer *writer, PyObject *value) {
    if (!PyUnicode_Check(value)) return UNFIT;
    if (PyUnicode_IS_COMPACT_ASCII(value))
        return put_octets(writer, PyUnicode_1BYTE_DATA(value), PyUnicode_GET_LENGTH(value)) ? WRITTEN : FAILED;
    PyObject *octets = PyUnicode_AsUTF8String(value);
    if (octets == NULL) return PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) ? UNFIT : FAILED;
    bool is_put = put_octets(writer, PyBytes_AS_STRING(octets), PyBytes_GET_SIZE(octets));
    Py_DECREF(octets);
    return is_put ? WRITTEN : FAILED;
}

static enum Outcome put_boolean(Writer *writer, PyObject *value) {
    if (value != Py_True && value != Py_False) return UNFIT;
    if (!reserve(writer, 1)) return FAILED;
    *writer->at++ = value == Py_True;
    return WRITTEN;
}

static enum Outcome put_bytes(Writer *writer, PyObject *value) {
    if (!PyBytes_Check(value)) return UNFIT;
    return put_octets(writer, PyBytes_AS_STRING(value), PyBytes_GET_SIZE(value)) ? WRITTEN : FAILED;
}

static inline enum Outcome put_scalar(const Program *program, const Op *op, Writer *writer, PyObject *value) {
    switch (op->kind) {
    case BOOLEAN:
        return put_boolean(writer, value);
    case LONG:
        return put_number(writer, value);
    case INSTANT:
        return put_instant(writer, value);
    case DAY:
        return put_day(writer, value);
    case TEXT:
        return put_text(writer, value);
    case OCTETS:
        return put_bytes(writer, value);
    default:
        return put_decimal(program, op, writer, value);
    }
}

static inline bool write_one(const Program *program, const Op *op, Writer *writer, PyObject *value) {
    if (op->kind == RECORD) return write_record(op->record, op->record->count, value, writer);
    enum Outcome outcome = put_scalar(program, op, writer, value);
    if (outcome == UNFIT) return refuse(program, op, value);
    return outcome == WRITTEN;
}

static bool write_list(const Program *program, const Op *op, Writer *writer, PyObject *list) {
    if (!PyList_Check(list)) return refuse(program, op, list);
    Py_ssize_t size = PyList_GET_SIZE(list);
    if (!reserve(writer, 10)) return false;
    if (size > 0) put_long(writer, size);
    for (Py_ssize_t index = 0; index < size; index++) {
        if (PyList_GET_SIZE(list) != size) { /* a time zone's Python code can do that */
            PyErr_SetString(PyExc_RuntimeError, "list changed size while it was encoded");
            return false;
        }
        PyObject *item = PyList_GET_ITEM(list, index);
        Py_INCREF(item);
        bool is_written = write_one(program, op, writer, item);
        Py_DECREF(item);
        if (!is_written) return false;
    }
    if (size == 0) {
        *writer->at++ = 0;
        return true;
    }
    if (!reserve(writer, 1)) return false;
    *writer->at++ = 0;
    return true;
}

static inline bool write_field(const Program *program, const Op *op, Writer *writer, PyObject *value) {
    if (op->is_optional) {
        if (!reserve(writer, 1)) return false;
        *writer->at++ = value == Py_None ? 0 : 2;
        if (value == Py_None) return true;
    }
    return op->is_list ? write_list(program, op, writer, value) : write_one(program, op, writer, value);
}

static bool write_fields(const Program *program, Py_ssize_t count, PyObject *fields, Writer *writer) {
    for (Py_ssize_t index = 0; index < count; index++) {
        const Op *op = &program->ops[index];
        PyObject *value = PyDict_GetItemWithError(fields, op->name);
        if (value == NULL) return PyErr_Occurred() ? false : refuse(program, op, Py_None);
        Py_INCREF(value); /* Python code (a time zone's) may run while it is written */
        bool is_written = write_field(program, op, writer, value);
        Py_DECREF(value);
        if (!is_written) return false;
    }
    return true;
}

bool write_record(const Program *program, Py_ssize_t count, PyObject *instance, Writer *writer) {
    if (!PyObject_TypeCheck(instance, program->model)) return refuse(program, NULL, instance);
    PyObject *fields = PyObject_GenericGetDict(instance, NULL);
    if (fields == NULL) return false;
    bool is_written = write_fields(program, count, fields, writer);
    Py_DECREF(fields);
    return is_written;
}
