/* The rows of a list, read and sorted; see sections.h. */
#include "sections.h"

static enum Outcome sort_key(const List *list, const Part *part, const Value *values, struct SortKey *key) {
    Value value = values[part->index];
    *key = (struct SortKey){.is_set = value.size != SIZE_NULL, .text = value};
    if (!key->is_set) return DONE;
    if (!is_sent(&value)) return UNFIT;
    switch (part->held) {
    case INTEGER:
        return integer_of(&value, &key->integer) ? DONE : UNFIT;
    case DATE:
        return day_of(&value, &key->integer) ? DONE : UNFIT;
    case MOMENT:
        return moment_of(&value, &key->integer) ? DONE : UNFIT;
    case NUMERIC:
        return number_of(&value, &key->number, &key->scale) && rescaled(&key->number, key->scale, 12, powers_of_ten[37])
                   ? DONE
                   : UNFIT;
    case WORDS:
    case PADDED_WORDS:
        return text_of(&key->text, part->held);
    default:
        return UNFIT;
    }
}

static int compare_keys(const struct SortKey *left, const struct SortKey *right, enum Held held) {
    if (left->is_set != right->is_set) return left->is_set ? 1 : -1;
    if (!left->is_set) return 0;
    if (held == NUMERIC) return left->number < right->number ? -1 : left->number > right->number;
    if (held == WORDS || held == PADDED_WORDS) {
        uint32_t shorter = left->text.size < right->text.size ? left->text.size : right->text.size;
        int order = memcmp(left->text.at, right->text.at, shorter);
        return order != 0 ? order : left->text.size < right->text.size ? -1 : left->text.size > right->text.size;
    }
    return left->integer < right->integer ? -1 : left->integer > right->integer;
}

static int compare_items(const Item *left, const Item *right, const List *list) {
    for (uint32_t index = 0; index < list->order_count; index++) {
        int order = compare_keys(&left->keys[index], &right->keys[index], list->order[index].held);
        if (order != 0) return order;
    }
    return left->number < right->number ? -1 : left->number > right->number;
}

/* Few items, or a heap of many; `number` makes either stable. */
static void sort_items(Item *items, size_t count, const List *list) {
    if (count <= 24) {
        for (size_t index = 1; index < count; index++) {
            Item item = items[index];
            size_t place = index;
            for (; place > 0 && compare_items(&items[place - 1], &item, list) > 0; place--)
                items[place] = items[place - 1];
            items[place] = item;
        }
        return;
    }
    for (size_t start = count / 2, end = count; end > 1;) {
        if (start > 0) {
            start--;
        } else {
            end--;
            Item last = items[end];
            items[end] = items[0];
            items[0] = last;
        }
        size_t parent = start;
        for (size_t child; (child = 2 * parent + 1) < end; parent = child) {
            if (child + 1 < end && compare_items(&items[child], &items[child + 1], list) < 0) child++;
            if (compare_items(&items[parent], &items[child], list) >= 0) break;
            Item other = items[parent];
            items[parent] = items[child];
            items[child] = other;
        }
    }
}

void close_items(Items *all) {
    for (size_t index = 0; index < all->count; index++) Py_XDECREF(all->items[index].node);
    PyMem_Free(all->items);
    PyMem_Free(all->values);
    PyMem_Free(all->keys);
}

/* The row of an inner table, from its own node; UNFIT with `*row` NULL where it is not there. */
static enum Outcome inner_row(const Section *section, const List *list, PyObject *key, PyObject **node, PyObject **row) {
    if (!PyBytes_Check(key)) return UNFIT;
    PyObject *id = PyBytes_FromStringAndSize(NULL, PyBytes_GET_SIZE(list->prefix) + PyBytes_GET_SIZE(key));
    if (id == NULL) return FAILED;
    memcpy(PyBytes_AS_STRING(id), PyBytes_AS_STRING(list->prefix), (size_t)PyBytes_GET_SIZE(list->prefix));
    memcpy(PyBytes_AS_STRING(id) + PyBytes_GET_SIZE(list->prefix), PyBytes_AS_STRING(key),
           (size_t)PyBytes_GET_SIZE(key));
    *node = PyObject_CallOneArg(section->node, id);
    Py_DECREF(id);
    if (*node == NULL) return FAILED;
    if (Py_TYPE(*node) != section->node_type) return UNFIT;
    *row = *slot(*node, section->row_at);
    return DONE;
}

static enum Outcome take_item(const Section *section, const List *list, Items *all, PyObject *key, PyObject *row) {
    Item *item = &all->items[all->count];
    *item = (Item){.values = all->values + all->count * list->columns,
                   .number = all->count,
                   .keys = all->keys + all->count * list->order_count};
    if (list->prefix != Py_None) {
        enum Outcome outcome = inner_row(section, list, key, &item->node, &row);
        if (outcome != DONE || row == NULL || row == Py_None) {
            Py_CLEAR(item->node);
            return outcome;
        }
    }
    all->count++;
    if (!PyBytes_Check(row)) return UNFIT;
    Value *values = (Value *)item->values;
    if (!kept_values((const uint8_t *)PyBytes_AS_STRING(row), (size_t)PyBytes_GET_SIZE(row), values, list->columns))
        return UNFIT;
    for (uint32_t index = 0; index < list->order_count; index++) {
        enum Outcome outcome = sort_key(list, &list->order[index], values, &item->keys[index]);
        if (outcome != DONE) return outcome;
    }
    return DONE;
}

enum Outcome open_items(Items *all, const Section *section, const List *list, PyObject *node) {
    *all = (Items){NULL, NULL, NULL, 0};
    PyObject *children = node == NULL ? NULL : *slot(node, section->children_at);
    if (children == NULL || !PyDict_Check(children)) return UNFIT;
    PyObject *rows = PyDict_GetItemWithError(children, list->number);
    if (rows == NULL) return PyErr_Occurred() ? FAILED : DONE;
    if (!PyDict_Check(rows)) return UNFIT;
    size_t size = (size_t)PyDict_GET_SIZE(rows);
    all->items = PyMem_Calloc(size + 1, sizeof(Item));
    all->values = PyMem_Calloc((size + 1) * (list->columns + 1), sizeof(Value));
    all->keys = PyMem_Calloc((size + 1) * (list->order_count + 1), sizeof(struct SortKey));
    if (all->items == NULL || all->values == NULL || all->keys == NULL) {
        PyErr_NoMemory();
        return FAILED;
    }
    enum Outcome outcome = DONE;
    PyObject *key, *row;
    Py_INCREF(rows);
    for (Py_ssize_t place = 0; outcome == DONE && PyDict_Next(rows, &place, &key, &row);) {
        if (all->count >= size) {
            outcome = UNFIT;
            break;
        }
        Py_INCREF(key);
        Py_INCREF(row);
        outcome = take_item(section, list, all, key, row);
        Py_DECREF(key);
        Py_DECREF(row);
        if (outcome == DONE && (size_t)PyDict_GET_SIZE(rows) != size) outcome = UNFIT;
    }
    Py_DECREF(rows);
    if (outcome == DONE) sort_items(all->items, all->count, list);
    return outcome;
}
