/* Kept rows to the Avro form of their facts; the reference is the compiled mapping with the codec behind it.

Whatever is not plain (an empty required field, a number with more decimals than its attribute, a date before the
common era) is not judged here: `build` gives None, and the reference says what is wrong with it. */
#ifndef ORDERSYNC_SECTIONS_H
#define ORDERSYNC_SECTIONS_H

#include "capture.h"

#define MOST_PRECISION 38
#define FIRST_DAY (-719162)
#define MOST_DEPTH 16

/* What a column holds, as its type says; `producers.cdc.changes.Held`. */
enum Held { INTEGER, NUMERIC, WORDS, PADDED_WORDS, TRUTH, DATE, MOMENT, HELD_KINDS };
/* What an attribute takes; `producers.cdc.sections`. */
enum Taken { TEXT, DECIMAL, LONG, DAY, INSTANT, BOOLEAN, TAKEN_KINDS };
enum Code { COLUMN, LITERAL, CONCAT, TOTAL, LOOKUP, RECORD, LIST, CODES };
enum Level { OWN, PARENT, ROOT, LEVELS };

typedef struct {
    enum Level level;
    uint32_t index;
    enum Held held;
    PyObject *text; /* a constant part of a text instead */
} Part;

struct Record;

typedef struct {
    enum Code code;
    enum Taken taken;
    bool is_optional;
    int scale;
    u128 limit;
    int summed;         /* number of the sum that this value is added to, or -1 */
    Part part;          /* COLUMN, LOOKUP */
    PyObject *literal;  /* LITERAL: Avro bytes; LOOKUP: dict of text to Avro bytes */
    Part *parts;        /* CONCAT */
    uint32_t count;
    int list, sum, item_scale; /* TOTAL: a sum of a list; LIST: its number */
    struct Record *record;     /* RECORD */
} Field;

typedef struct {
    PyObject *number;    /* of the child's table */
    PyObject *prefix;    /* of the child's nodes, None for leaves */
    uint32_t columns;    /* of its kept rows */
    uint32_t order_count;
    Part *order;
    struct Record *record;
    uint32_t sums;
} List;

typedef struct Record {
    uint32_t field_count, list_count;
    Field *fields;
    List *lists;
} Record;

typedef struct {
    PyObject_HEAD
    Record *record;
    uint32_t columns;
    Field key;
    PyObject *node; /* store.node */
    PyTypeObject *node_type;
    Py_ssize_t row_at, children_at;
} Section;

/* ---- output ---- */

typedef struct {
    uint8_t *start, *at, *end;
    uint8_t local[2048];
} Buffer;

static inline void open_buffer(Buffer *buffer) {
    buffer->start = buffer->at = buffer->local;
    buffer->end = buffer->local + sizeof buffer->local;
}

static inline void close_buffer(Buffer *buffer) {
    if (buffer->start != buffer->local) PyMem_Free(buffer->start);
}

static inline bool room(Buffer *buffer, size_t size) {
    if ((size_t)(buffer->end - buffer->at) >= size) return true;
    size_t used = (size_t)(buffer->at - buffer->start);
    size_t capacity = 2 * (size_t)(buffer->end - buffer->start) + size;
    uint8_t *bigger = PyMem_Realloc(buffer->start == buffer->local ? NULL : buffer->start, capacity);
    if (bigger == NULL) {
        PyErr_NoMemory();
        return false;
    }
    if (buffer->start == buffer->local) memcpy(bigger, buffer->local, used);
    buffer->start = bigger;
    buffer->at = bigger + used;
    buffer->end = bigger + capacity;
    return true;
}

static inline void put_long(Buffer *buffer, int64_t value) {
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (rest > 127) {
        *buffer->at++ = (uint8_t)(rest | 128);
        rest >>= 7;
    }
    *buffer->at++ = (uint8_t)rest;
}

static inline bool put_raw(Buffer *buffer, const void *data, size_t size) {
    if (!room(buffer, size)) return false;
    memcpy(buffer->at, data, size);
    buffer->at += size;
    return true;
}

static inline bool put_octets(Buffer *buffer, const void *data, size_t size) {
    if (!room(buffer, size + 10)) return false;
    put_long(buffer, (int64_t)size);
    memcpy(buffer->at, data, size);
    buffer->at += size;
    return true;
}

enum Outcome { DONE, UNFIT, FAILED }; /* UNFIT: the reference decides; FAILED: an exception is set */

static inline enum Outcome fine(bool is_fine) { return is_fine ? DONE : FAILED; }

/* ---- values: section_values.c ---- */

extern u128 powers_of_ten[MOST_PRECISION + 1];
void prepare_powers(void);

/* A plain decimal: its unscaled value and its scale. */
bool number_of(const Value *value, i128 *unscaled, int *scale);
/* The same number with another scale, where that is whole and within the limit. */
bool rescaled(i128 *unscaled, int from, int to, u128 limit);
bool put_decimal(Buffer *buffer, i128 unscaled);
bool integer_of(const Value *value, int64_t *number);
bool day_of(const Value *value, int64_t *days);
bool moment_of(const Value *value, int64_t *microseconds);
/* The text of a value, as `str` gives it; UNFIT where only Python knows it. */
enum Outcome text_of(Value *value, enum Held held);

/* ---- fields: section_fields.c ---- */

typedef struct {
    const Value *rows[LEVELS];
} Scope;

static inline Value value_at(const Scope *scope, const Part *part) {
    const Value *row = scope->rows[part->level];
    return row == NULL ? (Value){NULL, SIZE_UNCHANGED} : row[part->index];
}

enum Outcome put_column(Buffer *out, const Field *field, Value value, i128 *sums, bool *are_summed);
/* All parts as one text into `out`, without its length; `is_null` if one is NULL. */
enum Outcome concatenated(Buffer *out, const Field *field, const Scope *scope, bool *is_null);
enum Outcome put_null(Buffer *out, const Field *field);
enum Outcome put_branch(Buffer *out, const Field *field);
enum Outcome put_concat(Buffer *out, const Field *field, const Scope *scope);
enum Outcome put_lookup(Buffer *out, const Field *field, const Scope *scope);

/* ---- items: section_items.c ---- */

/* One row of a list, with what it is sorted by. */
typedef struct {
    const Value *values;
    PyObject *node; /* of an inner table's row: a new reference */
    size_t number;
    struct SortKey {
        bool is_set;
        int64_t integer;
        i128 number;
        int scale;
        Value text;
    } *keys;
} Item;

typedef struct {
    Item *items;
    Value *values;
    struct SortKey *keys;
    size_t count;
} Items;

/* The rows of a list below a node, sorted; `close_items` in any case. */
enum Outcome open_items(Items *all, const Section *section, const List *list, PyObject *node);
void close_items(Items *all);

/* ---- programs: section_programs.c ---- */

Record *take_record(PyObject *given, int depth);
void free_record(Record *record);
void free_field(Field *field);
bool take_parts(PyObject *given, Part **parts, uint32_t *count);
/* Whether every column that is read is one of its row's. */
bool fits(const Record *record, const uint32_t *widths, uint32_t sums);
bool fits_part(const Part *part, const uint32_t *widths);
bool wrong_section(const char *what);

#endif
