/* Sections from the tuples that `producers.cdc.sections` makes; see sections.h. */
#include "sections.h"

bool wrong_section(const char *what) {
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "no such %s in a section", what);
    return false;
}

static bool take_part(PyObject *given, Part *part) {
    if (PyBytes_Check(given)) {
        part->text = Py_NewRef(given);
        return true;
    }
    unsigned level, index, held;
    if (!PyTuple_Check(given) || !PyArg_ParseTuple(given, "III", &level, &index, &held)) return wrong_section("part");
    if (level >= LEVELS || held >= HELD_KINDS) return wrong_section("part");
    *part = (Part){.level = (enum Level)level, .index = index, .held = (enum Held)held};
    return true;
}

bool take_parts(PyObject *given, Part **parts, uint32_t *count) {
    if (!PyTuple_Check(given)) return wrong_section("parts");
    uint32_t size = (uint32_t)PyTuple_GET_SIZE(given);
    *parts = PyMem_Calloc(size + 1, sizeof **parts);
    if (*parts == NULL) return PyErr_NoMemory() != NULL;
    *count = size;
    for (uint32_t index = 0; index < size; index++)
        if (!take_part(PyTuple_GET_ITEM(given, index), &(*parts)[index])) return false;
    return true;
}

static bool take_content(PyObject *content, Field *field, int depth) {
    switch (field->code) {
    case COLUMN:
        return take_part(content, &field->part) && (field->part.text == NULL || wrong_section("column"));
    case LITERAL:
        if (!PyBytes_Check(content)) return wrong_section("literal");
        field->literal = Py_NewRef(content);
        return true;
    case CONCAT:
        return take_parts(content, &field->parts, &field->count);
    case TOTAL:
        return PyTuple_Check(content) &&
               PyArg_ParseTuple(content, "iii", &field->list, &field->sum, &field->item_scale) && field->list >= 0 &&
               field->sum >= 0 && field->item_scale >= 0 && field->item_scale <= MOST_PRECISION;
    case LOOKUP: {
        PyObject *part, *table;
        if (!PyTuple_Check(content) || !PyArg_ParseTuple(content, "OO!", &part, &PyDict_Type, &table)) return false;
        field->literal = Py_NewRef(table);
        PyObject *key, *value;
        for (Py_ssize_t place = 0; PyDict_Next(table, &place, &key, &value);)
            if (!PyBytes_Check(value)) return wrong_section("entry");
        return take_part(part, &field->part) && (field->part.text == NULL || wrong_section("column"));
    }
    case RECORD:
        return (field->record = take_record(content, depth + 1)) != NULL;
    default:
        field->list = (int)PyLong_AsLong(content);
        return field->list >= 0 && !PyErr_Occurred();
    }
}

static bool take_field(PyObject *given, Field *field, int depth) {
    unsigned code, taken, precision;
    int is_optional;
    PyObject *content;
    if (!PyTuple_Check(given) || !PyArg_ParseTuple(given, "IIpIiiO", &code, &taken, &is_optional, &precision,
                                                   &field->scale, &field->summed, &content))
        return false;
    if (code >= CODES || taken >= TAKEN_KINDS || precision > MOST_PRECISION || field->scale < 0 ||
        field->scale > MOST_PRECISION)
        return wrong_section("field");
    field->code = (enum Code)code;
    field->taken = (enum Taken)taken;
    field->is_optional = is_optional;
    field->limit = powers_of_ten[precision];
    return take_content(content, field, depth) || wrong_section("content");
}

static bool take_list(PyObject *given, List *list, int depth) {
    PyObject *number, *prefix, *order, *record;
    if (!PyTuple_Check(given) ||
        !PyArg_ParseTuple(given, "OOIOOI", &number, &prefix, &list->columns, &order, &record, &list->sums))
        return false;
    if ((prefix != Py_None && !PyBytes_Check(prefix)) || list->columns > MOST_COLUMNS || list->sums > MOST_COLUMNS)
        return wrong_section("list");
    list->number = Py_NewRef(number);
    list->prefix = Py_NewRef(prefix);
    if (!take_parts(order, &list->order, &list->order_count)) return false;
    for (uint32_t index = 0; index < list->order_count; index++)
        if (list->order[index].text != NULL || list->order[index].level != OWN ||
            list->order[index].index >= list->columns)
            return wrong_section("order");
    return (list->record = take_record(record, depth + 1)) != NULL;
}

static void free_parts(Part *parts, uint32_t count) {
    for (uint32_t index = 0; parts != NULL && index < count; index++) Py_XDECREF(parts[index].text);
    PyMem_Free(parts);
}

void free_field(Field *field) {
    Py_XDECREF(field->part.text);
    Py_XDECREF(field->literal);
    free_parts(field->parts, field->count);
    free_record(field->record);
}

void free_record(Record *record) {
    if (record == NULL) return;
    for (uint32_t index = 0; record->fields != NULL && index < record->field_count; index++)
        free_field(&record->fields[index]);
    for (uint32_t index = 0; record->lists != NULL && index < record->list_count; index++) {
        Py_XDECREF(record->lists[index].number);
        Py_XDECREF(record->lists[index].prefix);
        free_parts(record->lists[index].order, record->lists[index].order_count);
        free_record(record->lists[index].record);
    }
    PyMem_Free(record->fields);
    PyMem_Free(record->lists);
    PyMem_Free(record);
}

Record *take_record(PyObject *given, int depth) {
    PyObject *fields, *lists;
    if (depth > MOST_DEPTH || !PyTuple_Check(given) ||
        !PyArg_ParseTuple(given, "O!O!", &PyTuple_Type, &fields, &PyTuple_Type, &lists)) {
        wrong_section("record");
        return NULL;
    }
    Record *record = PyMem_Calloc(1, sizeof *record);
    if (record == NULL) return (Record *)PyErr_NoMemory();
    record->field_count = (uint32_t)PyTuple_GET_SIZE(fields);
    record->list_count = (uint32_t)PyTuple_GET_SIZE(lists);
    record->fields = PyMem_Calloc(record->field_count + 1, sizeof(Field));
    record->lists = PyMem_Calloc(record->list_count + 1, sizeof(List));
    bool is_taken = record->fields != NULL && record->lists != NULL;
    for (uint32_t index = 0; is_taken && index < record->list_count; index++)
        is_taken = take_list(PyTuple_GET_ITEM(lists, index), &record->lists[index], depth);
    for (uint32_t index = 0; is_taken && index < record->field_count; index++) {
        Field *field = &record->fields[index];
        is_taken = take_field(PyTuple_GET_ITEM(fields, index), field, depth);
        if (is_taken && (field->code == TOTAL || field->code == LIST))
            is_taken = (uint32_t)field->list < record->list_count &&
                       (field->code == LIST || (uint32_t)field->sum < record->lists[field->list].sums);
    }
    if (is_taken) return record;
    wrong_section("record");
    free_record(record);
    return NULL;
}

bool fits_part(const Part *part, const uint32_t *widths) {
    return part->text != NULL || part->index < widths[part->level];
}

bool fits(const Record *record, const uint32_t *widths, uint32_t sums) {
    for (uint32_t index = 0; index < record->field_count; index++) {
        const Field *field = &record->fields[index];
        if ((field->code == COLUMN || field->code == LOOKUP) && !fits_part(&field->part, widths)) return false;
        for (uint32_t part = 0; part < field->count; part++)
            if (!fits_part(&field->parts[part], widths)) return false;
        if (field->summed >= (int)sums) return false;
        if (field->code == RECORD && !fits(field->record, widths, 0)) return false;
    }
    for (uint32_t index = 0; index < record->list_count; index++) {
        const uint32_t inside[LEVELS] = {record->lists[index].columns, widths[OWN], widths[ROOT]};
        if (!fits(record->lists[index].record, inside, record->lists[index].sums)) return false;
    }
    return true;
}
