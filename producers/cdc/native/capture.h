/* The native parts of the capture: what they share. Each has its reference in Python, named in its file. */
#ifndef ORDERSYNC_CAPTURE_H
#define ORDERSYNC_CAPTURE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#if defined(Py_GIL_DISABLED)
#error "the caches of this extension rely on the global interpreter lock"
#endif

typedef unsigned __int128 u128;
typedef __int128 i128;

/* What the extension takes from Python, once. */
typedef struct {
    PyObject *unchanged;      /* producers.cdc.changes.UNCHANGED */
    PyTypeObject *row_change; /* ... RowChange */
    PyTypeObject *source_transaction;
    PyObject *insert, *update, *delete_; /* ChangeKind's members */
    PyObject *full;                      /* ReplicaIdentity.FULL */
    PyObject *invalid_message;           /* schemas.errors.InvalidMessage */
} Names;

extern Names names;

/* The place of a `__slots__` member in instances of `type`; false with an exception. */
bool find_slot(PyTypeObject *type, const char *name, Py_ssize_t *offset);

static inline PyObject **slot(PyObject *object, Py_ssize_t offset) { return (PyObject **)((char *)object + offset); }

/* ---- values of a row ---- */

#define SIZE_NULL UINT32_MAX
#define SIZE_UNCHANGED (UINT32_MAX - 1)
#define MOST_VALUE_BYTES (UINT32_MAX - 2)
#define MOST_COLUMNS 65535

typedef struct {
    const uint8_t *at;
    uint32_t size; /* or SIZE_NULL, SIZE_UNCHANGED */
} Value;

static inline bool is_sent(const Value *value) { return value->size <= MOST_VALUE_BYTES; }

/* A row as the source sent it: a sequence of bytes, None and UNCHANGED. */
typedef struct {
    PyObject_VAR_HEAD
    uint32_t count;
    struct Place {
        uint32_t at, size;
    } places[];
} SentRow;

extern PyTypeObject SentRowType;

static inline Value row_value(const SentRow *row, uint32_t index) {
    const uint8_t *data = (const uint8_t *)&row->places[row->count];
    return (Value){data + row->places[index].at, row->places[index].size};
}

/* A row whose places and `data_size` bytes of values are still to be filled in; NULL with an exception. */
SentRow *new_row(uint32_t count, size_t data_size);

/* The row in the form of pgoutput's TupleData at `*at`, which is moved behind it. NULL with ValueError. */
PyObject *row_from_tuple_data(const uint8_t **at, const uint8_t *end, uint32_t count);

/* Whether some value of it was left out. */
bool row_has_unchanged(const SentRow *row);

/* A row with the values of `old` where `row` has UNCHANGED; a new reference. */
PyObject *row_completed(PyObject *row, PyObject *old);

/* ---- kept rows: `producers.cdc.rows` ---- */

enum { KEPT_NULL = 251, KEPT_UNCHANGED = 252, KEPT_LONG = 253, KEPT_SHORT = 250 };

static inline size_t kept_size(const Value *value) {
    if (!is_sent(value)) return 1;
    return value->size <= KEPT_SHORT ? 1 + (size_t)value->size : 5 + (size_t)value->size;
}

static inline uint8_t *put_kept(uint8_t *to, const Value *value) {
    if (!is_sent(value)) {
        *to++ = value->size == SIZE_NULL ? KEPT_NULL : KEPT_UNCHANGED;
        return to;
    }
    if (value->size <= KEPT_SHORT) {
        *to++ = (uint8_t)value->size;
    } else {
        *to++ = KEPT_LONG;
        for (int shift = 0; shift < 32; shift += 8) *to++ = (uint8_t)(value->size >> shift);
    }
    memcpy(to, value->at, value->size);
    return to + value->size;
}

/* The values of a kept row, exactly `count` of them; false, without an exception, where it does not hold them. */
bool kept_values(const uint8_t *at, size_t size, Value *values, uint32_t count);

PyObject *rows_kept(PyObject *module, PyObject *values);

/* ---- key forms: `producers.cdc.rows.KeyForm` ---- */

enum KeyForm { AS_SENT, NUMBER, PADDED };

/* The part of a value that stands for all values equal to it. */
Value key_value(Value value, enum KeyForm form);

/* ---- the parts ---- */

extern PyTypeObject AssemblyType, SectionType, EventWriterType, TallyType, DeliveryType;

PyObject *wire_feed(PyObject *module, PyObject *const *args, Py_ssize_t count);
PyObject *wire_drain(PyObject *module, PyObject *const *args, Py_ssize_t count);
bool wire_prepare(void);

/* ---- libpq, whose functions are handed in by their addresses: `producers.cdc.postgres.libpq` ---- */

typedef struct {
    int (*get)(void *connection, char **buffer, int async);
    void (*release)(void *memory);
    void *connection;
} Libpq;

/* Takes PQgetCopyData, PQfreemem and a connection from the first three arguments; false with an exception. */
bool take_libpq(Libpq *libpq, PyObject *const *args);

PyObject *copying_rows(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
