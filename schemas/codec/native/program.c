/* The type Program: one model's fields in wire order, with the four methods of an engine. */
#include "avro.h"
#include <structmember.h>

static Writer *opened(Writer *writer, PyObject *prefix) {
    if (!PyBytes_Check(prefix)) {
        PyErr_Format(PyExc_TypeError, "a prefix is bytes, not %s", Py_TYPE(prefix)->tp_name);
        return NULL;
    }
    writer->start = writer->at = writer->local;
    writer->end = writer->local + sizeof writer->local;
    size_t size = (size_t)PyBytes_GET_SIZE(prefix);
    if (!reserve(writer, size)) return NULL;
    memcpy(writer->at, PyBytes_AS_STRING(prefix), size);
    writer->at += size;
    return writer;
}

/* The bytes that were written, if all went well; the writer's memory is given back. */
static PyObject *closed(Writer *writer, bool is_written) {
    PyObject *out =
        is_written ? PyBytes_FromStringAndSize((const char *)writer->start, writer->at - writer->start) : NULL;
    if (writer->start != writer->local) PyMem_Free(writer->start);
    return out;
}

static bool takes(const char *name, Py_ssize_t given, Py_ssize_t wanted) {
    if (given != wanted) PyErr_Format(PyExc_TypeError, "%s takes %zd arguments, not %zd", name, wanted, given);
    return given == wanted;
}

static bool opened_for_reading(Reader *reader, PyObject *data, PyObject *start) {
    if (!PyBytes_Check(data)) {
        PyErr_Format(PyExc_TypeError, "a message is bytes, not %s", Py_TYPE(data)->tp_name);
        return false;
    }
    Py_ssize_t offset = PyLong_AsSsize_t(start);
    if (offset == -1 && PyErr_Occurred()) return false;
    if (offset < 0) {
        PyErr_SetString(PyExc_ValueError, "a body cannot begin before its message");
        return false;
    }
    Py_ssize_t size = PyBytes_GET_SIZE(data);
    reader->start = (const uint8_t *)PyBytes_AS_STRING(data);
    reader->at = reader->start + (offset < size ? offset : size);
    reader->end = reader->start + size;
    return true;
}

static PyObject *read_all(Program *self, Reader *reader, PyObject *sections) {
    PyObject *instance = read_record(self, reader, sections);
    if (instance != NULL && reader->at != reader->end) {
        Py_DECREF(instance);
        return malformed(self, &self->ops[self->count - 1], reader, "the record ends before the message does");
    }
    return instance;
}

static PyObject *program_decode(Program *self, PyObject *const *args, Py_ssize_t count) {
    Reader reader;
    if (!takes("decode", count, 2) || !opened_for_reading(&reader, args[0], args[1])) return NULL;
    return read_all(self, &reader, NULL);
}

static PyObject *program_decode_sections(Program *self, PyObject *const *args, Py_ssize_t count) {
    Reader reader;
    if (!takes("decode_sections", count, 2) || !opened_for_reading(&reader, args[0], args[1])) return NULL;
    PyObject *sections = PyList_New(0);
    PyObject *instance = sections == NULL ? NULL : read_all(self, &reader, sections);
    PyObject *both = instance == NULL ? NULL : PyTuple_Pack(2, instance, sections);
    Py_XDECREF(instance);
    Py_XDECREF(sections);
    return both;
}

static PyObject *program_encode(Program *self, PyObject *const *args, Py_ssize_t count) {
    Writer writer;
    if (!takes("encode", count, 2) || opened(&writer, args[0]) == NULL) return NULL;
    return closed(&writer, write_record(self, self->count, args[1], &writer));
}

static bool write_sections(Program *self, PyObject *sections, Writer *writer) {
    PyObject *fast = PySequence_Fast(sections, "sections are a sequence of bytes");
    if (fast == NULL) return false;
    bool is_written = PySequence_Fast_GET_SIZE(fast) == self->count - self->head || refuse(self, NULL, sections);
    for (Py_ssize_t index = self->head; is_written && index < self->count; index++) {
        PyObject *section = PySequence_Fast_GET_ITEM(fast, index - self->head);
        if (!PyBytes_Check(section)) {
            is_written = refuse(self, &self->ops[index], section);
        } else if ((is_written = reserve(writer, (size_t)PyBytes_GET_SIZE(section)))) {
            memcpy(writer->at, PyBytes_AS_STRING(section), (size_t)PyBytes_GET_SIZE(section));
            writer->at += PyBytes_GET_SIZE(section);
        }
    }
    Py_DECREF(fast);
    return is_written;
}

static PyObject *program_encode_sections(Program *self, PyObject *const *args, Py_ssize_t count) {
    Writer writer;
    if (!takes("encode_sections", count, 3) || opened(&writer, args[0]) == NULL) return NULL;
    bool is_written = write_record(self, self->head, args[1], &writer) && write_sections(self, args[2], &writer);
    return closed(&writer, is_written);
}

/* ---- construction ---- */

static bool has_plain_instances(PyTypeObject *model) {
    bool is_plain = PyType_HasFeature(model, Py_TPFLAGS_HEAPTYPE) && PyType_HasFeature(model, Py_TPFLAGS_HAVE_GC) &&
                    model->tp_alloc == PyType_GenericAlloc && model->tp_itemsize == 0;
    if (!is_plain) PyErr_Format(PyExc_TypeError, "%s: its instances are not laid out plainly", model->tp_name);
    return is_plain;
}

/* The place of a `__slots__` member within the instances of `model`; -1 with an exception. */
static Py_ssize_t slot_offset(PyTypeObject *model, PyObject *descriptor) {
    if (Py_TYPE(descriptor) == &PyMemberDescr_Type) {
        PyMemberDef *member = ((PyMemberDescrObject *)descriptor)->d_member;
        PyTypeObject *owner = ((PyMemberDescrObject *)descriptor)->d_common.d_type;
        if (member->type == T_OBJECT_EX && !(member->flags & READONLY) && PyType_IsSubtype(model, owner) &&
            member->offset >= (Py_ssize_t)sizeof(PyObject) &&
            member->offset + (Py_ssize_t)sizeof(PyObject *) <= model->tp_basicsize)
            return member->offset;
    }
    PyErr_Format(PyExc_TypeError, "%s: %R is no slot of its instances", model->tp_name, descriptor);
    return -1;
}

static bool set_op(Program *self, Op *op, PyObject *field) {
    int kind, is_optional, is_list;
    PyObject *record;
    if (!PyArg_ParseTuple(field, "UippiiOU", &op->name, &kind, &is_optional, &is_list, &op->precision, &op->scale,
                          &record, &op->expected)) {
        op->name = op->expected = NULL;
        return false;
    }
    Py_INCREF(op->name);
    Py_INCREF(op->expected);
    PyUnicode_InternInPlace(&op->name);
    op->kind = (enum Kind)kind;
    op->is_optional = is_optional != 0;
    op->is_list = is_list != 0;
    bool is_record = kind == RECORD, is_decimal = kind == DECIMAL;
    if (kind < 0 || kind >= KINDS || is_record != (Py_TYPE(record) == &ProgramType) ||
        (is_decimal && (op->precision < 1 || op->precision > MAX_PRECISION || op->scale < 0 ||
                        op->scale > op->precision))) {
        PyErr_Format(PyExc_TypeError, "%s.%U: no such field has an Avro form", self->model->tp_name, op->name);
        return false;
    }
    if (is_decimal) op->limit = power_of_ten(op->precision);
    if (is_record) {
        Py_INCREF(record);
        op->record = (Program *)record;
    }
    if (is_record && !op->record->is_frozen) self->is_frozen = false;
    if (kind == TEXT) {
        op->memory = PyMem_Calloc(1, sizeof(TextMemory));
        if (op->memory == NULL) {
            PyErr_NoMemory();
            return false;
        }
    }
    return PyDict_SetItem(self->blank, op->name, Py_None) == 0;
}

static bool set_ops(Program *self, PyObject *fields) {
    Py_ssize_t count = PyTuple_GET_SIZE(fields);
    self->ops = PyMem_Calloc((size_t)(count ? count : 1), sizeof(Op));
    if (self->ops == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        PyObject *field = PyTuple_GET_ITEM(fields, index);
        if (!PyTuple_Check(field)) {
            PyErr_SetString(PyExc_TypeError, "a field is a tuple");
            return false;
        }
        self->count = index + 1;
        if (!set_op(self, &self->ops[index], field)) return false;
    }
    return true;
}

static PyObject *program_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *model, *fields, *fields_set_slot, *extra_slot, *private_slot, *fields_set;
    Py_ssize_t head;
    int is_frozen, knows_decimals;
    if (kwargs != NULL && PyDict_GET_SIZE(kwargs) != 0) {
        PyErr_SetString(PyExc_TypeError, "Program takes no keyword arguments");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "O!O!n(OOO)O!pp", &PyType_Type, &model, &PyTuple_Type, &fields, &head,
                          &fields_set_slot, &extra_slot, &private_slot, &PySet_Type, &fields_set, &is_frozen,
                          &knows_decimals))
        return NULL;
    if (PyTuple_GET_SIZE(fields) < 1 || head < 0 || head > PyTuple_GET_SIZE(fields)) {
        PyErr_SetString(PyExc_TypeError, "a program has fields, and sections among them");
        return NULL;
    }
    Program *self = (Program *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(model);
    self->model = (PyTypeObject *)model;
    Py_INCREF(fields_set);
    self->fields_set = fields_set;
    self->head = head;
    self->knows_decimals = knows_decimals != 0;
    self->is_frozen = is_frozen != 0;
    self->blank = PyDict_New();
    if (self->blank == NULL || !has_plain_instances(self->model) ||
        (self->fields_set_offset = slot_offset(self->model, fields_set_slot)) < 0 ||
        (self->extra_offset = slot_offset(self->model, extra_slot)) < 0 ||
        (self->private_offset = slot_offset(self->model, private_slot)) < 0 || !set_ops(self, fields)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int program_traverse(Program *self, visitproc visit, void *arg) {
    Py_VISIT(self->model);
    Py_VISIT(self->blank);
    Py_VISIT(self->fields_set);
    for (Py_ssize_t index = 0; index < self->count; index++) Py_VISIT(self->ops[index].record);
    return 0;
}

static void forget_texts(TextMemory *memory) {
    if (memory == NULL) return;
    for (size_t index = 0; index < sizeof memory->kept / sizeof *memory->kept; index++)
        Py_XDECREF(memory->kept[index].text);
    PyMem_Free(memory);
}

static void program_dealloc(Program *self) {
    PyObject_GC_UnTrack(self);
    for (Py_ssize_t index = 0; index < self->count; index++) {
        Py_XDECREF(self->ops[index].record);
        Py_XDECREF(self->ops[index].name);
        Py_XDECREF(self->ops[index].expected);
        forget_texts(self->ops[index].memory);
    }
    PyMem_Free(self->ops);
    Py_XDECREF(self->model);
    Py_XDECREF(self->blank);
    Py_XDECREF(self->fields_set);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef program_methods[] = {
    {"decode", (PyCFunction)(void (*)(void))program_decode, METH_FASTCALL, NULL},
    {"encode", (PyCFunction)(void (*)(void))program_encode, METH_FASTCALL, NULL},
    {"decode_sections", (PyCFunction)(void (*)(void))program_decode_sections, METH_FASTCALL, NULL},
    {"encode_sections", (PyCFunction)(void (*)(void))program_encode_sections, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

PyTypeObject ProgramType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "schemas.codec.native._avro.Program",
    .tp_doc = "The compiled codec of one model; see schemas.codec.native.",
    .tp_basicsize = sizeof(Program),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = program_new,
    .tp_dealloc = (destructor)program_dealloc,
    .tp_traverse = (traverseproc)program_traverse,
    .tp_methods = program_methods,
};
