/* Row changes applied to the kept rows; the reference is `producers.cdc.aggregates.Assembly`, which does the rare ones.

Done here: a new or changed row of a root table, or of a leaf table whose key tells its parent, that was sent whole. */
#include "capture.h"
#include <structmember.h>

typedef struct {
    uint32_t place; /* in the rows of the relation */
    enum KeyForm form;
} KeyColumn;

/* How the rows of one relation are kept. */
typedef struct {
    PyObject *relation; /* compared by identity; kept alive */
    bool is_quick, is_root;
    PyObject *number;      /* of a leaf's table */
    PyObject *node_prefix; /* of the node that keeps the row */
    uint32_t count;
    uint32_t *places;
    uint32_t key_count, parent_count;
    KeyColumn *key, *parent;
    uint32_t width; /* columns that the relation must have */
} Bound;

typedef struct {
    PyObject_HEAD
    PyObject *slowly, *bind, *node, *changed, *touched;
    PyTypeObject *node_type;
    Py_ssize_t row_at, children_at;
    Bound *bound;
    Py_ssize_t bound_count;
    Bound *last;
} Assembly;

/* What the present call has touched last. */
typedef struct {
    PyObject *id, *node;
} Memo;

static void free_bound(Bound *bound) {
    Py_XDECREF(bound->relation);
    Py_XDECREF(bound->number);
    Py_XDECREF(bound->node_prefix);
    PyMem_Free(bound->places);
    PyMem_Free(bound->key);
    PyMem_Free(bound->parent);
}

static bool take_key(PyObject *given, KeyColumn **columns, uint32_t *count, uint32_t *width) {
    if (!PyTuple_Check(given)) return false;
    *count = (uint32_t)PyTuple_GET_SIZE(given);
    *columns = PyMem_Calloc(*count + 1, sizeof **columns);
    if (*columns == NULL) return false;
    for (uint32_t index = 0; index < *count; index++) {
        unsigned place, form;
        if (!PyArg_ParseTuple(PyTuple_GET_ITEM(given, index), "II", &place, &form)) return false;
        (*columns)[index] = (KeyColumn){place, (enum KeyForm)form};
        if (place + 1 > *width) *width = place + 1;
    }
    return true;
}

static bool take_bound(Bound *bound, PyObject *given) {
    if (given == Py_None) return true;
    PyObject *places, *key, *parent;
    int is_root;
    if (!PyArg_ParseTuple(
            given, "pOSO!OO", &is_root, &bound->number, &bound->node_prefix, &PyTuple_Type, &places, &key, &parent))
        return false;
    Py_INCREF(bound->number);
    Py_INCREF(bound->node_prefix);
    bound->is_quick = true;
    bound->is_root = is_root;
    bound->count = (uint32_t)PyTuple_GET_SIZE(places);
    bound->places = PyMem_Calloc(bound->count + 1, sizeof *bound->places);
    if (bound->places == NULL) return PyErr_NoMemory() != NULL;
    for (uint32_t index = 0; index < bound->count; index++) {
        unsigned long place = PyLong_AsUnsignedLong(PyTuple_GET_ITEM(places, index));
        if (place == (unsigned long)-1 || place >= MOST_COLUMNS) {
            if (!PyErr_Occurred()) PyErr_SetString(PyExc_ValueError, "no column there");
            return false;
        }
        bound->places[index] = (uint32_t)place;
        if (place + 1 > bound->width) bound->width = (uint32_t)place + 1;
    }
    bool is_taken = take_key(key, &bound->key, &bound->key_count, &bound->width) &&
                    take_key(parent, &bound->parent, &bound->parent_count, &bound->width);
    if (!is_taken && !PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "keys are tuples");
    return is_taken;
}

/* Borrowed; NULL with an exception. */
static Bound *bound_of(Assembly *self, PyObject *relation) {
    if (self->last != NULL && self->last->relation == relation) return self->last;
    for (Py_ssize_t index = 0; index < self->bound_count; index++)
        if (self->bound[index].relation == relation) return self->last = &self->bound[index];
    PyObject *given = PyObject_CallOneArg(self->bind, relation);
    if (given == NULL) return NULL;
    Bound fresh = {.relation = Py_NewRef(relation)};
    bool is_taken = take_bound(&fresh, given);
    Py_DECREF(given);
    Bound *more = is_taken ? PyMem_Realloc(self->bound, (size_t)(self->bound_count + 1) * sizeof *more) : NULL;
    if (more == NULL) {
        if (is_taken) PyErr_NoMemory();
        free_bound(&fresh);
        return NULL;
    }
    self->bound = more;
    more[self->bound_count] = fresh;
    return self->last = &more[self->bound_count++];
}

static uint8_t *put_head(uint8_t *to, char type, uint32_t size) {
    *to++ = (uint8_t)type;
    for (int shift = 0; shift < 32; shift += 8) *to++ = (uint8_t)(size >> shift);
    return to;
}

/* The bytes of a key behind a prefix; NULL without an exception where a part is missing. */
static PyObject *key_object(const SentRow *row, const char *prefix, Py_ssize_t prefix_size, const KeyColumn *columns,
                            uint32_t count) {
    size_t size = (size_t)prefix_size;
    for (uint32_t index = 0; index < count; index++) {
        Value value = key_value(row_value(row, columns[index].place), columns[index].form);
        if (!is_sent(&value)) return NULL;
        size += count == 1 ? value.size : 5 + (size_t)value.size;
    }
    /* A composite key is what `marshal`, version 2, makes of a tuple of bytes, as `producers.cdc.tables` has it. */
    size += count == 1 ? 0 : 5;
    PyObject *key = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (key == NULL) return NULL;
    uint8_t *to = (uint8_t *)PyBytes_AS_STRING(key);
    memcpy(to, prefix, (size_t)prefix_size);
    to += prefix_size;
    if (count != 1) to = put_head(to, '(', count);
    for (uint32_t index = 0; index < count; index++) {
        Value value = key_value(row_value(row, columns[index].place), columns[index].form);
        if (count != 1) to = put_head(to, 's', value.size);
        memcpy(to, value.at, value.size);
        to += value.size;
    }
    return key;
}

static PyObject *kept_row(const SentRow *row, const Bound *bound) {
    size_t size = 0;
    for (uint32_t index = 0; index < bound->count; index++) {
        Value value = row_value(row, bound->places[index]);
        if (value.size == SIZE_UNCHANGED) return NULL;
        size += kept_size(&value);
    }
    PyObject *kept = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (kept == NULL) return NULL;
    uint8_t *to = (uint8_t *)PyBytes_AS_STRING(kept);
    for (uint32_t index = 0; index < bound->count; index++) {
        Value value = row_value(row, bound->places[index]);
        to = put_kept(to, &value);
    }
    return kept;
}

static void forget(Memo *memo) {
    Py_CLEAR(memo->id);
    Py_CLEAR(memo->node);
}

/* The node of this id, changed and touched from now on; takes over `id`. Borrowed; NULL with an exception. */
static PyObject *changing_node(Assembly *self, Memo *memo, PyObject *id) {
    if (memo->id != NULL && PyBytes_GET_SIZE(memo->id) == PyBytes_GET_SIZE(id) &&
        memcmp(PyBytes_AS_STRING(memo->id), PyBytes_AS_STRING(id), (size_t)PyBytes_GET_SIZE(id)) == 0) {
        Py_DECREF(id);
        return memo->node;
    }
    forget(memo);
    PyObject *node = PyObject_CallOneArg(self->node, id);
    PyObject *done = node == NULL ? NULL : PyObject_CallFunctionObjArgs(self->changed, id, node, NULL);
    bool is_fine = done != NULL && PyDict_SetItem(self->touched, id, Py_None) == 0;
    Py_XDECREF(done);
    if (is_fine && Py_TYPE(node) != self->node_type) {
        PyErr_SetString(PyExc_TypeError, "a store keeps nodes of one type");
        is_fine = false;
    }
    if (!is_fine) {
        Py_XDECREF(node);
        Py_DECREF(id);
        return NULL;
    }
    *memo = (Memo){id, node};
    return node;
}

/* node.children[number][key] = row */
static bool put_child(Assembly *self, PyObject *node, PyObject *number, PyObject *key, PyObject *row) {
    PyObject *children = *slot(node, self->children_at);
    if (children == NULL || !PyDict_Check(children)) {
        PyErr_SetString(PyExc_TypeError, "a node keeps its children in a dict");
        return false;
    }
    PyObject *rows = PyDict_GetItemWithError(children, number);
    if (rows != NULL) return PyDict_SetItem(rows, key, row) == 0;
    if (PyErr_Occurred()) return false;
    rows = PyDict_New();
    bool is_put = rows != NULL && PyDict_SetItem(rows, key, row) == 0 && PyDict_SetItem(children, number, rows) == 0;
    Py_XDECREF(rows);
    return is_put;
}

/* The row as it is kept, the id of the node that keeps it and, of a leaf, its key; false, with or without an exception,
where a part of them is missing. */
static bool keys_of(const SentRow *row, const Bound *bound, PyObject **kept, PyObject **id, PyObject **key) {
    const char *prefix = PyBytes_AS_STRING(bound->node_prefix);
    Py_ssize_t prefix_size = PyBytes_GET_SIZE(bound->node_prefix);
    *kept = kept_row(row, bound);
    *id = *kept == NULL ? NULL
          : bound->is_root ? key_object(row, prefix, prefix_size, bound->key, bound->key_count)
                           : key_object(row, prefix, prefix_size, bound->parent, bound->parent_count);
    *key = *id == NULL || bound->is_root ? NULL : key_object(row, "", 0, bound->key, bound->key_count);
    if (*id != NULL && (bound->is_root || *key != NULL)) return true;
    Py_CLEAR(*kept);
    Py_CLEAR(*id);
    return false;
}

/* Puts the row into its node, if there is one; takes over key and row. */
static bool put_row(Assembly *self, const Bound *bound, PyObject *node, PyObject *key, PyObject *kept) {
    bool is_put = node != NULL;
    if (is_put && bound->is_root)
        Py_XSETREF(*slot(node, self->row_at), Py_NewRef(kept));
    else if (is_put)
        is_put = put_child(self, node, bound->number, key, kept);
    Py_DECREF(kept);
    Py_XDECREF(key);
    return is_put;
}

enum Done { QUICKLY, NOT_SO, BROKEN };

static enum Done apply_quickly(Assembly *self, Memo *memo, PyObject *change) {
    PyObject *kind = PyTuple_GET_ITEM(change, 0), *given = PyTuple_GET_ITEM(change, 2);
    if (Py_TYPE(given) != &SentRowType || PyTuple_GET_ITEM(change, 3) != Py_None ||
        (kind != names.insert && kind != names.update))
        return NOT_SO;
    Bound *bound = bound_of(self, PyTuple_GET_ITEM(change, 1));
    if (bound == NULL) return BROKEN;
    const SentRow *row = (SentRow *)given;
    if (!bound->is_quick || row->count < bound->width) return NOT_SO;
    PyObject *kept, *id, *key;
    if (!keys_of(row, bound, &kept, &id, &key)) return PyErr_Occurred() ? BROKEN : NOT_SO;
    return put_row(self, bound, changing_node(self, memo, id), key, kept) ? QUICKLY : BROKEN;
}

static PyObject *assembly_apply(Assembly *self, PyObject *changes) {
    PyObject *fast = PySequence_Fast(changes, "changes are a sequence");
    if (fast == NULL) return NULL;
    Memo memo = {NULL, NULL};
    bool is_fine = true;
    for (Py_ssize_t index = 0; is_fine && index < PySequence_Fast_GET_SIZE(fast); index++) {
        PyObject *change = PySequence_Fast_GET_ITEM(fast, index);
        if (Py_TYPE(change) != names.row_change || PyTuple_GET_SIZE(change) != 4) {
            PyErr_SetString(PyExc_TypeError, "a change is a RowChange");
            is_fine = false;
            break;
        }
        Py_INCREF(change);
        enum Done done = apply_quickly(self, &memo, change);
        if (done == NOT_SO) {
            forget(&memo);
            PyObject *nothing = PyObject_CallOneArg(self->slowly, change);
            Py_XDECREF(nothing);
            is_fine = nothing != NULL;
        } else {
            is_fine = done == QUICKLY;
        }
        Py_DECREF(change);
    }
    forget(&memo);
    Py_DECREF(fast);
    if (!is_fine) return NULL;
    Py_RETURN_NONE;
}

/* nodes[id], made where it is missing. Borrowed; NULL with an exception. */
static PyObject *filled_node(Assembly *self, PyObject *nodes, PyObject *id) {
    PyObject *node = PyDict_GetItemWithError(nodes, id);
    if (node != NULL || PyErr_Occurred()) return node;
    PyObject *children = PyDict_New(), *emitted = children == NULL ? NULL : PyDict_New();
    node = emitted == NULL ? NULL
                           : PyObject_CallFunctionObjArgs((PyObject *)self->node_type, Py_None, children, emitted, NULL);
    Py_XDECREF(children);
    Py_XDECREF(emitted);
    bool is_kept = node != NULL && PyDict_SetItem(nodes, id, node) == 0;
    /* The dict holds it. */
    Py_XDECREF(node);
    return is_kept ? node : NULL;
}

/* fill(relation, rows, from, nodes) -> the index of the first row from there on that is left to the caller. */
static PyObject *assembly_fill(Assembly *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 4 || !PyList_Check(args[1]) || !PyDict_Check(args[3]))
        return PyErr_Format(PyExc_TypeError, "fill takes a relation, a list of rows, an index and a dict of nodes");
    Bound *bound = bound_of(self, args[0]);
    if (bound == NULL) return NULL;
    Py_ssize_t index = PyLong_AsSsize_t(args[2]);
    if (index < 0) return PyErr_Occurred() ? NULL : PyErr_Format(PyExc_IndexError, "there is no row below 0");
    for (; bound->is_quick && index < PyList_GET_SIZE(args[1]); index++) {
        PyObject *given = PyList_GET_ITEM(args[1], index);
        if (Py_TYPE(given) != &SentRowType || ((SentRow *)given)->count < bound->width) break;
        PyObject *kept, *id, *key;
        if (!keys_of((SentRow *)given, bound, &kept, &id, &key)) {
            if (PyErr_Occurred()) return NULL;
            break;
        }
        bool is_put = put_row(self, bound, filled_node(self, args[3], id), key, kept);
        Py_DECREF(id);
        if (!is_put) return NULL;
    }
    return PyLong_FromSsize_t(index);
}

static PyObject *assembly_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *slowly, *bind, *node, *changed, *touched, *node_type;
    if (!PyArg_ParseTuple(args, "OOOOO!O!", &slowly, &bind, &node, &changed, &PyDict_Type, &touched, &PyType_Type,
                          &node_type))
        return NULL;
    Assembly *self = (Assembly *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->slowly = Py_NewRef(slowly);
    self->bind = Py_NewRef(bind);
    self->node = Py_NewRef(node);
    self->changed = Py_NewRef(changed);
    self->touched = Py_NewRef(touched);
    self->node_type = (PyTypeObject *)Py_NewRef(node_type);
    if (!find_slot(self->node_type, "row", &self->row_at) ||
        !find_slot(self->node_type, "children", &self->children_at)) {
        Py_DECREF(self);
        return NULL;
    }
    return (PyObject *)self;
}

static int assembly_traverse(Assembly *self, visitproc visit, void *arg) {
    Py_VISIT(self->slowly);
    Py_VISIT(self->bind);
    Py_VISIT(self->node);
    Py_VISIT(self->changed);
    Py_VISIT(self->touched);
    Py_VISIT(self->node_type);
    return 0;
}

static int assembly_clear(Assembly *self) {
    Py_CLEAR(self->slowly);
    Py_CLEAR(self->bind);
    Py_CLEAR(self->node);
    Py_CLEAR(self->changed);
    Py_CLEAR(self->touched);
    Py_CLEAR(self->node_type);
    return 0;
}

static void assembly_free(Assembly *self) {
    PyObject_GC_UnTrack(self);
    assembly_clear(self);
    for (Py_ssize_t index = 0; index < self->bound_count; index++) free_bound(&self->bound[index]);
    PyMem_Free(self->bound);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef assembly_methods[] = {
    {"apply", (PyCFunction)assembly_apply, METH_O, "Apply row changes in their order."},
    {"fill", (PyCFunction)(void (*)(void))assembly_fill, METH_FASTCALL,
     "fill(relation, rows, from, nodes): put rows into nodes that are by their ids; gives the first that is left."},
    {NULL},
};

PyTypeObject AssemblyType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_capture.Assembly",
    .tp_doc = "Assembly(slowly, bind, node, changed, touched, node_type): the quick part of an assembly.",
    .tp_basicsize = sizeof(Assembly),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = assembly_new,
    .tp_traverse = (traverseproc)assembly_traverse,
    .tp_clear = (inquiry)assembly_clear,
    .tp_dealloc = (destructor)assembly_free,
    .tp_methods = assembly_methods,
};
