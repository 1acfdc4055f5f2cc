/* Rows as sent and as kept; the reference is `producers.cdc.rows`. */
#include "capture.h"

static uint32_t be32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* ---- the type SentRow ---- */

static PyObject *value_object(const Value *value) {
    if (is_sent(value)) return PyBytes_FromStringAndSize((const char *)value->at, value->size);
    return Py_NewRef(value->size == SIZE_NULL ? Py_None : names.unchanged);
}

static Py_ssize_t row_length(SentRow *self) { return self->count; }

static PyObject *row_item(SentRow *self, Py_ssize_t index) {
    if (index < 0 || index >= (Py_ssize_t)self->count) {
        PyErr_SetString(PyExc_IndexError, "row index out of range");
        return NULL;
    }
    Value value = row_value(self, (uint32_t)index);
    return value_object(&value);
}

static PyObject *row_compare(PyObject *self, PyObject *other, int operation) {
    if ((operation != Py_EQ && operation != Py_NE) ||
        !(PyTuple_Check(other) || PyObject_TypeCheck(other, &SentRowType)))
        Py_RETURN_NOTIMPLEMENTED;
    PyObject *left = PySequence_Tuple(self), *right = left == NULL ? NULL : PySequence_Tuple(other);
    PyObject *result = right == NULL ? NULL : PyObject_RichCompare(left, right, operation);
    Py_XDECREF(left);
    Py_XDECREF(right);
    return result;
}

static PyObject *row_repr(PyObject *self) {
    PyObject *values = PySequence_Tuple(self);
    PyObject *shown = values == NULL ? NULL : PyObject_Repr(values);
    Py_XDECREF(values);
    return shown;
}

static PySequenceMethods row_sequence = {.sq_length = (lenfunc)row_length, .sq_item = (ssizeargfunc)row_item};

PyTypeObject SentRowType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_capture.SentRow",
    .tp_doc = "A row as the source sent it: bytes, None or UNCHANGED for each column.",
    .tp_basicsize = sizeof(SentRow),
    .tp_itemsize = 1,
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_SEQUENCE,
    .tp_as_sequence = &row_sequence,
    .tp_richcompare = row_compare,
    .tp_hash = PyObject_HashNotImplemented,
    .tp_repr = row_repr,
};

SentRow *new_row(uint32_t count, size_t data_size) {
    size_t size = count * sizeof(struct Place) + data_size;
    if (size > (size_t)PY_SSIZE_T_MAX / 2) return (SentRow *)PyErr_NoMemory();
    SentRow *row = PyObject_NewVar(SentRow, &SentRowType, (Py_ssize_t)size);
    if (row != NULL) row->count = count;
    return row;
}

static PyObject *refused(const char *problem) {
    PyErr_SetString(PyExc_ValueError, problem);
    return NULL;
}

PyObject *row_from_tuple_data(const uint8_t **from, const uint8_t *end, uint32_t count) {
    const uint8_t *at = *from;
    if (end - at < 2) return refused("cut off before a row");
    uint32_t announced = (uint32_t)at[0] << 8 | at[1];
    if (announced != count) {
        PyErr_Format(PyExc_ValueError, "%u values for %u columns", announced, count);
        return NULL;
    }
    at += 2;
    const uint8_t *first = at;
    /* The whole rest has room for the row: values are moved together while they are read. */
    size_t data_size = 0;
    for (uint32_t index = 0; index < count; index++) {
        if (at >= end) return refused("cut off inside a row");
        uint8_t kind = *at++;
        if (kind == 't') {
            if (end - at < 4) return refused("cut off inside a row");
            uint32_t size = be32(at);
            at += 4;
            if (size > MOST_VALUE_BYTES || (size_t)(end - at) < size) return refused("cut off inside a row");
            data_size += size;
            at += size;
        } else if (kind != 'n' && kind != 'u') {
            PyErr_Format(PyExc_ValueError, "value of unknown kind %d (is the slot read with binary values?)", kind);
            return NULL;
        }
    }
    *from = at;
    SentRow *row = new_row(count, data_size);
    if (row == NULL) return NULL;
    uint8_t *data = (uint8_t *)&row->places[count];
    uint32_t used = 0;
    at = first;
    for (uint32_t index = 0; index < count; index++) {
        uint8_t kind = *at++;
        if (kind != 't') {
            row->places[index] = (struct Place){used, kind == 'n' ? SIZE_NULL : SIZE_UNCHANGED};
            continue;
        }
        uint32_t size = be32(at);
        at += 4;
        row->places[index] = (struct Place){used, size};
        memcpy(data + used, at, size);
        used += size;
        at += size;
    }
    return (PyObject *)row;
}

bool row_has_unchanged(const SentRow *row) {
    for (uint32_t index = 0; index < row->count; index++)
        if (row->places[index].size == SIZE_UNCHANGED) return true;
    return false;
}

PyObject *row_completed(PyObject *given, PyObject *before) {
    SentRow *row = (SentRow *)given, *old = (SentRow *)before;
    if (!row_has_unchanged(row)) return Py_NewRef(given);
    size_t size = 0;
    for (uint32_t index = 0; index < row->count; index++) {
        uint32_t own = row->places[index].size;
        uint32_t taken = own == SIZE_UNCHANGED ? old->places[index].size : own;
        if (taken <= MOST_VALUE_BYTES) size += taken;
    }
    SentRow *whole = new_row(row->count, size);
    if (whole == NULL) return NULL;
    uint8_t *data = (uint8_t *)&whole->places[row->count];
    uint32_t used = 0;
    for (uint32_t index = 0; index < row->count; index++) {
        Value value = row_value(row, index);
        if (value.size == SIZE_UNCHANGED) value = row_value(old, index);
        whole->places[index] = (struct Place){used, value.size};
        if (is_sent(&value)) {
            memcpy(data + used, value.at, value.size);
            used += value.size;
        }
    }
    return (PyObject *)whole;
}

/* ---- kept rows ---- */

bool kept_values(const uint8_t *at, size_t size, Value *values, uint32_t count) {
    const uint8_t *end = at + size;
    for (uint32_t index = 0; index < count; index++) {
        if (at >= end) return false;
        uint32_t length = *at++;
        if (length == KEPT_NULL || length == KEPT_UNCHANGED) {
            values[index] = (Value){at, length == KEPT_NULL ? SIZE_NULL : SIZE_UNCHANGED};
            continue;
        }
        if (length == KEPT_LONG) {
            if (end - at < 4) return false;
            length = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
            at += 4;
        } else if (length > KEPT_SHORT) {
            return false;
        }
        if (length > MOST_VALUE_BYTES || (size_t)(end - at) < length) return false;
        values[index] = (Value){at, length};
        at += length;
    }
    return at == end;
}

static bool value_of(PyObject *given, Value *value) {
    if (given == Py_None || given == names.unchanged) {
        *value = (Value){NULL, given == Py_None ? SIZE_NULL : SIZE_UNCHANGED};
        return true;
    }
    if (!PyBytes_Check(given) || (size_t)PyBytes_GET_SIZE(given) > MOST_VALUE_BYTES) {
        PyErr_SetString(PyExc_TypeError, "a value of a row is bytes, None or UNCHANGED");
        return false;
    }
    *value = (Value){(const uint8_t *)PyBytes_AS_STRING(given), (uint32_t)PyBytes_GET_SIZE(given)};
    return true;
}

/* kept(values): the row of these values. */
PyObject *rows_kept(PyObject *module, PyObject *values) {
    PyObject *fast = PySequence_Fast(values, "a row is a sequence of values");
    if (fast == NULL) return NULL;
    size_t size = 0;
    Value value;
    PyObject *row = NULL;
    bool is_fine = true;
    for (Py_ssize_t index = 0; is_fine && index < PySequence_Fast_GET_SIZE(fast); index++) {
        is_fine = value_of(PySequence_Fast_GET_ITEM(fast, index), &value);
        if (is_fine) size += kept_size(&value);
    }
    if (is_fine) row = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
    if (row != NULL) {
        uint8_t *to = (uint8_t *)PyBytes_AS_STRING(row);
        for (Py_ssize_t index = 0; index < PySequence_Fast_GET_SIZE(fast); index++)
            if (value_of(PySequence_Fast_GET_ITEM(fast, index), &value)) to = put_kept(to, &value);
    }
    Py_DECREF(fast);
    return row;
}

/* `12.50` and `12.5`, `0.00` and `-0`: the sign of a float's zero and closing zeros behind the point make no other. */
static Value number_key(Value value) {
    const uint8_t *point = memchr(value.at, '.', value.size);
    bool is_plain = true;
    for (uint32_t index = 0; index < value.size; index++) {
        uint8_t c = value.at[index];
        is_plain = is_plain && ((c >= '0' && c <= '9') || c == '.' || (c == '-' && index == 0));
    }
    if (!is_plain) return value;
    if (point != NULL) {
        while (value.size > 1 && value.at[value.size - 1] == '0') value.size--;
        if (value.at[value.size - 1] == '.') value.size--;
    }
    if (value.size == 2 && value.at[0] == '-' && value.at[1] == '0') {
        value.at++;
        value.size--;
    }
    return value;
}

Value key_value(Value value, enum KeyForm form) {
    if (!is_sent(&value) || value.size == 0) return value;
    if (form == NUMBER) return number_key(value);
    if (form == PADDED)
        while (value.size > 0 && value.at[value.size - 1] == ' ') value.size--;
    return value;
}
