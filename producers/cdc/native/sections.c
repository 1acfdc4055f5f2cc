/* Whole records and the type Section; see sections.h. */
#include "sections.h"

typedef struct {
    Section *section;
    PyObject *node; /* whose children the lists of this record are; NULL where it has none */
    int depth;
} Surrounding;

typedef struct {
    Buffer bytes;
    i128 *sums;
    bool *are_summed;
} WrittenList;

static enum Outcome put_record(Buffer *out, const Record *record, const Scope *scope, const Surrounding *around,
                               i128 *sums, bool *are_summed);

static enum Outcome put_field(Buffer *out, const Field *field, const Scope *scope, const Surrounding *around,
                              WrittenList *lists, i128 *sums, bool *are_summed) {
    switch (field->code) {
    case LITERAL:
        return fine(put_raw(out, PyBytes_AS_STRING(field->literal), (size_t)PyBytes_GET_SIZE(field->literal)));
    case COLUMN: {
        Value value = value_at(scope, &field->part);
        if (value.size == SIZE_NULL) {
            if (field->summed >= 0) are_summed[field->summed] = false;
            return put_null(out, field);
        }
        if (!is_sent(&value)) return UNFIT;
        enum Outcome outcome = put_branch(out, field);
        return outcome == DONE ? put_column(out, field, value, sums, are_summed) : outcome;
    }
    case CONCAT:
        return put_concat(out, field, scope);
    case LOOKUP:
        return put_lookup(out, field, scope);
    case TOTAL: {
        WrittenList *list = &lists[field->list];
        i128 unscaled = list->sums[field->sum];
        if (!list->are_summed[field->sum] || !rescaled(&unscaled, field->item_scale, field->scale, field->limit))
            return UNFIT;
        enum Outcome outcome = put_branch(out, field);
        return outcome == DONE ? fine(put_decimal(out, unscaled)) : outcome;
    }
    case RECORD: {
        enum Outcome outcome = put_branch(out, field);
        return outcome == DONE ? put_record(out, field->record, scope, around, NULL, NULL) : outcome;
    }
    case LIST: {
        WrittenList *list = &lists[field->list];
        enum Outcome outcome = put_branch(out, field);
        if (outcome != DONE) return outcome;
        return fine(put_raw(out, list->bytes.start, (size_t)(list->bytes.at - list->bytes.start)));
    }
    default:
        return UNFIT;
    }
}

static enum Outcome put_items(WrittenList *out, const List *list, const Items *all, const Scope *scope,
                              const Surrounding *around) {
    if (!room(&out->bytes, 10)) return FAILED;
    if (all->count > 0) put_long(&out->bytes, (int64_t)all->count);
    for (size_t index = 0; index < all->count; index++) {
        Scope within = {{all->items[index].values, scope->rows[OWN], scope->rows[ROOT]}};
        Surrounding inside = {around->section, all->items[index].node, around->depth + 1};
        enum Outcome outcome = put_record(&out->bytes, list->record, &within, &inside, out->sums, out->are_summed);
        if (outcome != DONE) return outcome;
    }
    if (!room(&out->bytes, 1)) return FAILED;
    *out->bytes.at++ = 0;
    return DONE;
}

static enum Outcome write_list(WrittenList *out, const List *list, const Scope *scope, const Surrounding *around) {
    Items all;
    enum Outcome outcome = open_items(&all, around->section, list, around->node);
    if (outcome == DONE) outcome = put_items(out, list, &all, scope, around);
    close_items(&all);
    return outcome;
}

static enum Outcome write_lists(WrittenList *lists, const Record *record, const Scope *scope,
                                const Surrounding *around) {
    for (uint32_t index = 0; index < record->list_count; index++) open_buffer(&lists[index].bytes);
    for (uint32_t index = 0; index < record->list_count; index++) {
        uint32_t sums = record->lists[index].sums;
        lists[index].sums = PyMem_Calloc(sums + 1, sizeof(i128));
        lists[index].are_summed = PyMem_Malloc(sums + 1);
        if (lists[index].sums == NULL || lists[index].are_summed == NULL) {
            PyErr_NoMemory();
            return FAILED;
        }
        memset(lists[index].are_summed, true, sums + 1);
        enum Outcome outcome = write_list(&lists[index], &record->lists[index], scope, around);
        if (outcome != DONE) return outcome;
    }
    return DONE;
}

static enum Outcome put_record(Buffer *out, const Record *record, const Scope *scope, const Surrounding *around,
                               i128 *sums, bool *are_summed) {
    if (around->depth > MOST_DEPTH) return UNFIT;
    WrittenList *lists = NULL;
    enum Outcome outcome = DONE;
    if (record->list_count > 0) {
        lists = PyMem_Calloc(record->list_count, sizeof *lists);
        if (lists == NULL) {
            PyErr_NoMemory();
            return FAILED;
        }
        outcome = write_lists(lists, record, scope, around);
    }
    for (uint32_t index = 0; outcome == DONE && index < record->field_count; index++)
        outcome = put_field(out, &record->fields[index], scope, around, lists, sums, are_summed);
    for (uint32_t index = 0; index < record->list_count; index++) {
        close_buffer(&lists[index].bytes);
        PyMem_Free(lists[index].sums);
        PyMem_Free(lists[index].are_summed);
    }
    PyMem_Free(lists);
    return outcome;
}

/* build(node) -> (key, section) or None where the reference has to decide. */
static PyObject *section_build(Section *self, PyObject *node) {
    if (Py_TYPE(node) != self->node_type) {
        PyErr_SetString(PyExc_TypeError, "a section is built of a node");
        return NULL;
    }
    PyObject *row = *slot(node, self->row_at);
    if (row == NULL || !PyBytes_Check(row)) Py_RETURN_NONE;
    Value few[64];
    Value *values = self->columns <= 64 ? few : PyMem_Calloc(self->columns, sizeof(Value));
    if (values == NULL) return PyErr_NoMemory();
    Buffer out, key;
    open_buffer(&out);
    open_buffer(&key);
    PyObject *result = NULL;
    enum Outcome outcome = UNFIT;
    Py_INCREF(row);
    if (kept_values((const uint8_t *)PyBytes_AS_STRING(row), (size_t)PyBytes_GET_SIZE(row), values, self->columns)) {
        Scope scope = {{values, NULL, values}};
        Surrounding around = {self, node, 0};
        bool is_null;
        outcome = concatenated(&key, &self->key, &scope, &is_null);
        if (outcome == DONE && (is_null || key.at == key.start)) outcome = UNFIT;
        if (outcome == DONE) outcome = put_record(&out, self->record, &scope, &around, NULL, NULL);
    }
    if (outcome == DONE)
        result = Py_BuildValue("(s#y#)", (const char *)key.start, (Py_ssize_t)(key.at - key.start),
                               (const char *)out.start, (Py_ssize_t)(out.at - out.start));
    else if (outcome == UNFIT)
        result = Py_NewRef(Py_None);
    Py_DECREF(row);
    close_buffer(&out);
    close_buffer(&key);
    if (values != few) PyMem_Free(values);
    return result;
}

static PyObject *section_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    prepare_powers();
    PyObject *record, *key, *node, *node_type;
    unsigned columns;
    if (!PyArg_ParseTuple(args, "OOIOO!", &record, &key, &columns, &node, &PyType_Type, &node_type)) return NULL;
    Section *self = (Section *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->node = Py_NewRef(node);
    self->node_type = (PyTypeObject *)Py_NewRef(node_type);
    self->columns = columns;
    self->record = take_record(record, 0);
    const uint32_t widths[LEVELS] = {columns, 0, columns};
    bool is_taken = self->record != NULL && take_parts(key, &self->key.parts, &self->key.count) &&
                    find_slot(self->node_type, "row", &self->row_at) &&
                    find_slot(self->node_type, "children", &self->children_at);
    for (uint32_t part = 0; is_taken && part < self->key.count; part++)
        is_taken = fits_part(&self->key.parts[part], widths);
    if (is_taken && columns <= MOST_COLUMNS && fits(self->record, widths, 0)) return (PyObject *)self;
    wrong_section("column");
    Py_DECREF(self);
    return NULL;
}

static void section_free(Section *self) {
    free_record(self->record);
    free_field(&self->key);
    Py_XDECREF(self->node);
    Py_XDECREF(self->node_type);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef section_methods[] = {
    {"build", (PyCFunction)section_build, METH_O, "Key and Avro section of a root's node, or None."},
    {NULL},
};

PyTypeObject SectionType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_capture.Section",
    .tp_doc = "Section(record, key, columns, node, node_type): the facts of one aggregate as Avro.",
    .tp_basicsize = sizeof(Section),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = section_new,
    .tp_dealloc = (destructor)section_free,
    .tp_methods = section_methods,
};
