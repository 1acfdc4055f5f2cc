/* The type FastPath: encoded records that meet all conditions become encoded outputs, without Python objects between.
   See schemas.codec.fastpath for what it is told and what it promises. */
#include "scan.h"

enum PieceKind { CONSTANT, FIELD, VALUE, ARGUMENT, EACH_ITEM, IF_FOUND, OUTPUT, COMPUTED, PIECE_KINDS };

/* A part of an output. `number`: an argument's or output's place, or how many pieces follow that belong to it.
   IF_FOUND with slot 1 means: where nothing was found. COMPUTED writes the number of a node into an optional field, null
   where its slot is null; its bytes are a `Form`. */
typedef struct {
    enum PieceKind kind;
    int scope, slot;
    Py_ssize_t number;
    PyObject *bytes;
} Piece;

/* How a calculated number is written: rounded half up by `divisor`, as a decimal or a plain number below `limit`. */
typedef struct {
    uint64_t divisor, limit, is_decimal;
} Form;

typedef struct {
    Piece *pieces;
    Py_ssize_t count;
} Template;

/* Records that are found by a text of the record or of its items, and by a day of the record where they have dates. */
typedef struct {
    Program *program;
    int scope, slot;
    int day_slot;      /* -1: found by the text alone */
    PyObject *records; /* dict: text, or text@day, to the encoded record, or None where nothing is to be found */
} Lookup;

typedef struct {
    PyObject_HEAD
    PyObject *prefix;
    Program *program;
    int key_slot, number_slot;
    Program *items;
    Lookup *lookups;
    Py_ssize_t lookup_count;
    Node *nodes;
    Py_ssize_t node_count;
    int once, each; /* nodes: the conditions of the record, and of each of its items; -1: none */
    Template *templates;
    Py_ssize_t template_count;
    Frame frames[SCOPES];
} FastPath;

enum Answer { PLAIN, NOT_PLAIN, BROKEN }; /* BROKEN: a Python exception is set */

/* ---- looking records up ---- */

static bool note_missing(PyObject **missing, Py_ssize_t lookup, PyObject *key) {
    if (*missing == NULL && (*missing = PyList_New(0)) == NULL) return false;
    PyObject *entry = Py_BuildValue("nO", lookup, key);
    int failed = entry == NULL ? -1 : PyList_Append(*missing, entry);
    Py_XDECREF(entry);
    return !failed;
}

static enum Answer put_found(const Lookup *lookup, PyObject *record, Frame *frame) {
    Slot *row = add_row(frame);
    if (row == NULL) return BROKEN;
    if (record == Py_None) {
        for (Py_ssize_t index = 0; index < frame->width; index++) row[index] = (Slot){.is_null = true};
        return PLAIN;
    }
    if (!PyBytes_Check(record)) {
        PyErr_SetString(PyExc_TypeError, "records to look up are bytes or None");
        return BROKEN;
    }
    Reader reader = {(const uint8_t *)PyBytes_AS_STRING(record), (const uint8_t *)PyBytes_AS_STRING(record),
                     (const uint8_t *)PyBytes_AS_STRING(record) + PyBytes_GET_SIZE(record)};
    return scan_record(lookup->program, &reader, row, NULL) ? PLAIN : PyErr_Occurred() ? BROKEN : NOT_PLAIN;
}

/* The key of a dated record is the text and the day, as in "USD@20778". */
static PyObject *key_of(const Slot *text, const Slot *day) {
    char key[256];
    if (day == NULL) return PyUnicode_DecodeUTF8((const char *)text->text, text->size, NULL);
    if (text->size > 200) return PyUnicode_New(0, 0);
    memcpy(key, text->text, (size_t)text->size);
    int size = PyOS_snprintf(key + text->size, sizeof key - 200, "@%lld", (long long)day->number);
    return PyUnicode_DecodeUTF8(key, text->size + size, NULL);
}

static enum Answer look_up(FastPath *self, Py_ssize_t index, PyObject **missing) {
    Lookup *lookup = &self->lookups[index];
    Frame *frame = &self->frames[2 + index];
    frame->rows = 0;
    for (Py_ssize_t row = 0; row < self->frames[lookup->scope].rows; row++) {
        const Slot *slot = row_of(&self->frames[lookup->scope], row) + lookup->slot;
        const Slot *day = lookup->day_slot < 0 ? NULL : self->frames[0].slots + lookup->day_slot;
        if (slot->is_null || (day != NULL && day->is_null)) return NOT_PLAIN;
        PyObject *key = key_of(slot, day);
        if (key == NULL) return BROKEN;
        PyObject *record = PyDict_GetItemWithError(lookup->records, key);
        enum Answer answer = record != NULL ? put_found(lookup, record, frame) : PyErr_Occurred() ? BROKEN : PLAIN;
        if (record == NULL && answer == PLAIN && !note_missing(missing, index, key)) answer = BROKEN;
        Py_DECREF(key);
        if (answer != PLAIN) return answer;
    }
    return PLAIN;
}

/* ---- writing ---- */

static bool put(Writer *writer, const void *data, Py_ssize_t size) {
    if (!reserve(writer, (size_t)size)) return false;
    memcpy(writer->at, data, (size_t)size);
    writer->at += size;
    return true;
}

static bool put_bytes_of(Writer *writer, PyObject *bytes) {
    return put(writer, PyBytes_AS_STRING(bytes), PyBytes_GET_SIZE(bytes));
}

typedef struct {
    FastPath *path;
    const Template *template;
    PyObject *arguments, *outputs;
    Writer *writer;
} Writing;

static bool write_pieces(const Writing *writing, Py_ssize_t from, Py_ssize_t to, Py_ssize_t row);

static bool write_each(const Writing *writing, Py_ssize_t from, Py_ssize_t to) {
    Py_ssize_t rows = writing->path->frames[1].rows;
    if (!reserve(writing->writer, 10)) return false;
    if (rows > 0) put_long(writing->writer, rows);
    for (Py_ssize_t row = 0; row < rows; row++)
        if (!write_pieces(writing, from, to, row)) return false;
    return put(writing->writer, "", 1);
}

static const Slot *slot_of(const Writing *writing, const Piece *piece, Py_ssize_t row) {
    return row_of(&writing->path->frames[piece->scope], row) + piece->slot;
}

/* False without an exception: the number is unknown or too big, and the record is not plain. */
static bool write_computed(const Writing *writing, const Piece *piece, Py_ssize_t row) {
    Form form;
    memcpy(&form, PyBytes_AS_STRING(piece->bytes), sizeof form);
    if (slot_of(writing, piece, row)->is_null) return put(writing->writer, "", 1);
    Evaluation evaluation = {.nodes = writing->path->nodes, .frames = writing->path->frames, .row = row};
    i128 number = number_of(&evaluation, (int)piece->number);
    u128 magnitude = ((u128)(number < 0 ? -number : number) + form.divisor / 2) / form.divisor;
    if (evaluation.is_unknown || magnitude >= form.limit) return false;
    if (!put(writing->writer, "\x02", 1)) return false;
    if (form.is_decimal) return put_unscaled(writing->writer, number < 0 && magnitude, magnitude) == WRITTEN;
    if (!reserve(writing->writer, 10)) return false;
    put_long(writing->writer, number < 0 ? -(int64_t)magnitude : (int64_t)magnitude);
    return true;
}

static bool write_piece(const Writing *writing, const Piece *piece, Py_ssize_t row) {
    const Slot *slot;
    switch (piece->kind) {
    case CONSTANT:
        return put_bytes_of(writing->writer, piece->bytes);
    case FIELD:
        slot = slot_of(writing, piece, row);
        return put(writing->writer, slot->at, slot->end - slot->at);
    case VALUE:
        slot = slot_of(writing, piece, row);
        if (slot->is_null) return put_bytes_of(writing->writer, piece->bytes);
        return put(writing->writer, slot->value, slot->end - slot->value);
    case COMPUTED:
        return write_computed(writing, piece, row);
    case ARGUMENT:
        return put_bytes_of(writing->writer, PyTuple_GET_ITEM(writing->arguments, piece->number));
    default: { /* OUTPUT: without its prefix */
        PyObject *output = PyTuple_GET_ITEM(writing->outputs, piece->number);
        Py_ssize_t skipped = PyBytes_GET_SIZE(piece->bytes);
        return put(writing->writer, PyBytes_AS_STRING(output) + skipped, PyBytes_GET_SIZE(output) - skipped);
    }
    }
}

static bool write_pieces(const Writing *writing, Py_ssize_t from, Py_ssize_t to, Py_ssize_t row) {
    for (Py_ssize_t index = from; index < to; index++) {
        const Piece *piece = &writing->template->pieces[index];
        if (piece->kind == EACH_ITEM) {
            if (!write_each(writing, index + 1, index + 1 + piece->number)) return false;
            index += piece->number;
        } else if (piece->kind == IF_FOUND) {
            const Slot *first = row_of(&writing->path->frames[piece->scope], row);
            if ((first->at == NULL) != (piece->slot != 0)) index += piece->number;
        } else if (!write_piece(writing, piece, row)) {
            return false;
        }
    }
    return true;
}

static PyObject *written(const Writing *writing) {
    Writer writer;
    writer.start = writer.at = writer.local;
    writer.end = writer.local + sizeof writer.local;
    Writing with = *writing;
    with.writer = &writer;
    PyObject *output = NULL;
    if (write_pieces(&with, 0, writing->template->count, 0))
        output = PyBytes_FromStringAndSize((const char *)writer.start, writer.at - writer.start);
    if (writer.start != writer.local) PyMem_Free(writer.start);
    return output;
}

static PyObject *all_written(FastPath *self, PyObject *arguments) {
    PyObject *outputs = PyTuple_New(self->template_count + 1);
    if (outputs == NULL) return NULL;
    Writing writing = {.path = self, .arguments = arguments, .outputs = outputs};
    for (Py_ssize_t index = 0; index <= self->template_count; index++) {
        writing.template = &self->templates[index];
        PyObject *output = index < self->template_count
                               ? written(&writing)
                               : PyLong_FromLongLong((long long)self->frames[0].slots[self->number_slot].number);
        if (output == NULL) {
            Py_DECREF(outputs);
            return NULL;
        }
        PyTuple_SET_ITEM(outputs, index, output);
    }
    return outputs;
}

/* ---- one record ---- */

static enum Answer scan(FastPath *self, PyObject *data, PyObject *key) {
    Py_ssize_t head = PyBytes_GET_SIZE(self->prefix), size = PyBytes_GET_SIZE(data);
    const uint8_t *start = (const uint8_t *)PyBytes_AS_STRING(data);
    if (size < head || memcmp(start, PyBytes_AS_STRING(self->prefix), (size_t)head)) return NOT_PLAIN;
    Reader reader = {start, start + head, start + size};
    self->frames[0].rows = self->frames[1].rows = 0;
    Slot *slots = add_row(&self->frames[0]);
    if (slots == NULL) return BROKEN;
    if (!scan_record(self->program, &reader, slots, self->items == NULL ? NULL : &self->frames[1]))
        return PyErr_Occurred() ? BROKEN : NOT_PLAIN;
    const Slot *named = &slots[self->key_slot];
    bool is_keyed = !named->is_null && named->size == PyBytes_GET_SIZE(key) &&
                    memcmp(named->text, PyBytes_AS_STRING(key), (size_t)named->size) == 0;
    return is_keyed ? PLAIN : NOT_PLAIN;
}

static bool is_plain(FastPath *self) {
    Evaluation evaluation = {.nodes = self->nodes, .frames = self->frames};
    if (self->once >= 0 && !(holds(&evaluation, self->once) && !evaluation.is_unknown)) return false;
    for (; self->each >= 0 && evaluation.row < self->frames[1].rows; evaluation.row++)
        if (!holds(&evaluation, self->each) || evaluation.is_unknown) return false;
    return true;
}

static PyObject *fastpath_take(FastPath *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 3 || !PyBytes_Check(args[0]) || !PyBytes_Check(args[1]) || !PyTuple_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "take(message, key, arguments): two bytes and a tuple");
        return NULL;
    }
    PyObject *missing = NULL;
    enum Answer answer = scan(self, args[0], args[1]);
    for (Py_ssize_t index = 0; answer == PLAIN && index < self->lookup_count; index++)
        answer = look_up(self, index, &missing);
    if (answer == PLAIN && missing != NULL) return missing;
    Py_XDECREF(missing);
    if (answer == PLAIN && is_plain(self)) {
        PyObject *outputs = all_written(self, args[2]);
        if (outputs != NULL || PyErr_Occurred()) return outputs;
    }
    if (answer == BROKEN) return NULL;
    Py_RETURN_NONE;
}

/* ---- construction ---- */

static bool set_piece(FastPath *self, Piece *piece, PyObject *declared, Py_ssize_t rest, Py_ssize_t output) {
    int kind;
    if (!PyTuple_Check(declared) ||
        !PyArg_ParseTuple(declared, "iiinS", &kind, &piece->scope, &piece->slot, &piece->number, &piece->bytes)) {
        piece->bytes = NULL;
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a piece is a tuple");
        return false;
    }
    Py_INCREF(piece->bytes);
    piece->kind = (enum PieceKind)kind;
    bool is_known = kind >= 0 && kind < PIECE_KINDS && piece->scope >= 0 && piece->scope < SCOPES &&
                    piece->slot >= 0 && piece->slot < (self->frames[piece->scope].width | 1) && piece->number >= 0 &&
                    ((kind != EACH_ITEM && kind != IF_FOUND) || piece->number <= rest) &&
                    (kind != OUTPUT || piece->number < output) &&
                    (kind != COMPUTED || (piece->number < self->node_count &&
                                          PyBytes_GET_SIZE(piece->bytes) == (Py_ssize_t)sizeof(Form)));
    if (!is_known) PyErr_Format(PyExc_ValueError, "%R is no piece", declared);
    return is_known;
}

static bool set_templates(FastPath *self, PyObject *declared) {
    Py_ssize_t count = PyTuple_GET_SIZE(declared);
    self->templates = PyMem_Calloc((size_t)count + 1, sizeof(Template));
    if (self->templates == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (Py_ssize_t output = 0; output < count; output++) {
        Template *template = &self->templates[output];
        PyObject *pieces = PyTuple_GET_ITEM(declared, output);
        self->template_count = output + 1;
        if (!PyTuple_Check(pieces)) {
            PyErr_SetString(PyExc_TypeError, "an output is a tuple of pieces");
            return false;
        }
        Py_ssize_t size = PyTuple_GET_SIZE(pieces);
        template->pieces = PyMem_Calloc((size_t)size + 1, sizeof(Piece));
        if (template->pieces == NULL) {
            PyErr_NoMemory();
            return false;
        }
        for (; template->count < size; template->count++)
            if (!set_piece(self, &template->pieces[template->count], PyTuple_GET_ITEM(pieces, template->count),
                           size - template->count - 1, output)) {
                template->count++;
                return false;
            }
    }
    return true;
}

static bool set_lookups(FastPath *self, PyObject *declared) {
    Py_ssize_t count = PyTuple_GET_SIZE(declared);
    self->lookups = PyMem_Calloc((size_t)count + 1, sizeof(Lookup));
    if (self->lookups == NULL || count > SCOPES - 2) {
        PyErr_SetString(PyExc_ValueError, "too many records to look up");
        return false;
    }
    for (Py_ssize_t index = 0; index < count; index++) {
        Lookup *lookup = &self->lookups[index];
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(declared, index), "O!iiiO!", &ProgramType, &lookup->program,
                              &lookup->scope, &lookup->slot, &lookup->day_slot, &PyDict_Type, &lookup->records))
            return false;
        Py_INCREF(lookup->program);
        Py_INCREF(lookup->records);
        self->lookup_count = index + 1;
        self->frames[2 + index].width = width_of(lookup->program);
        if (lookup->scope < 0 || lookup->scope > 1 || lookup->slot < 0 ||
            lookup->slot >= self->frames[lookup->scope].width || lookup->day_slot >= self->frames[0].width) {
            PyErr_SetString(PyExc_ValueError, "a record is found by a text of the record or its items");
            return false;
        }
    }
    return true;
}

static bool set_nodes(FastPath *self, PyObject *declared) {
    Py_ssize_t count = PyTuple_GET_SIZE(declared);
    self->nodes = PyMem_Calloc((size_t)count + 1, sizeof(Node));
    if (self->nodes == NULL) {
        PyErr_NoMemory();
        return false;
    }
    for (; self->node_count < count; self->node_count++) {
        Node *node = &self->nodes[self->node_count];
        if (!set_node(node, PyTuple_GET_ITEM(declared, self->node_count), self->node_count)) {
            self->node_count++;
            return false;
        }
        if (node->slot >= (self->frames[node->scope].width | 1)) {
            PyErr_SetString(PyExc_ValueError, "a node names a slot that there is not");
            return false;
        }
    }
    bool is_known = self->once < count && self->each < count;
    if (!is_known) PyErr_SetString(PyExc_ValueError, "a condition is one of the nodes");
    return is_known;
}

static PyObject *fastpath_new(PyTypeObject *type, PyObject *args, PyObject *kwargs) {
    PyObject *prefix, *program, *items, *lookups, *nodes, *templates;
    int key_slot, number_slot, once, each;
    if (!PyArg_ParseTuple(args, "SO!OiiO!O!iiO!", &prefix, &ProgramType, &program, &items, &key_slot, &number_slot,
                          &PyTuple_Type, &lookups, &PyTuple_Type, &nodes, &once, &each, &PyTuple_Type, &templates))
        return NULL;
    FastPath *self = (FastPath *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    Py_INCREF(prefix);
    self->prefix = prefix;
    Py_INCREF(program);
    self->program = (Program *)program;
    self->frames[0].width = width_of(self->program);
    if (Py_TYPE(items) == &ProgramType) {
        Py_INCREF(items);
        self->items = (Program *)items;
        self->frames[1].width = width_of(self->items);
    }
    self->key_slot = key_slot;
    self->number_slot = number_slot;
    self->once = once;
    self->each = each;
    bool is_within = key_slot >= 0 && key_slot < self->frames[0].width && number_slot >= 0 &&
                     number_slot < self->frames[0].width;
    if (!is_within) PyErr_SetString(PyExc_ValueError, "key and number are fields of the record");
    if (!is_within || !set_lookups(self, lookups) || !set_nodes(self, nodes) || !set_templates(self, templates)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int fastpath_traverse(FastPath *self, visitproc visit, void *arg) {
    Py_VISIT(self->program);
    Py_VISIT(self->items);
    for (Py_ssize_t index = 0; index < self->lookup_count; index++) {
        Py_VISIT(self->lookups[index].program);
        Py_VISIT(self->lookups[index].records);
    }
    return 0;
}

static void fastpath_dealloc(FastPath *self) {
    PyObject_GC_UnTrack(self);
    for (Py_ssize_t index = 0; index < self->lookup_count; index++) {
        Py_DECREF(self->lookups[index].program);
        Py_DECREF(self->lookups[index].records);
    }
    PyMem_Free(self->lookups);
    for (Py_ssize_t index = 0; index < self->node_count; index++) clear_node(&self->nodes[index]);
    PyMem_Free(self->nodes);
    for (Py_ssize_t output = 0; output < self->template_count; output++) {
        for (Py_ssize_t index = 0; index < self->templates[output].count; index++)
            Py_XDECREF(self->templates[output].pieces[index].bytes);
        PyMem_Free(self->templates[output].pieces);
    }
    PyMem_Free(self->templates);
    for (Py_ssize_t scope = 0; scope < SCOPES; scope++) PyMem_Free(self->frames[scope].slots);
    Py_XDECREF(self->prefix);
    Py_XDECREF(self->program);
    Py_XDECREF(self->items);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef fastpath_methods[] = {
    {"take", (PyCFunction)(void (*)(void))fastpath_take, METH_FASTCALL, NULL},
    {NULL, NULL, 0, NULL},
};

PyTypeObject FastPathType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "schemas.codec.native._avro.FastPath",
    .tp_doc = "Encoded records that meet all conditions to encoded outputs; see schemas.codec.fastpath.",
    .tp_basicsize = sizeof(FastPath),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = fastpath_new,
    .tp_dealloc = (destructor)fastpath_dealloc,
    .tp_traverse = (traverseproc)fastpath_traverse,
    .tp_methods = fastpath_methods,
};
