/* Kept rows to the Avro form of their facts; the reference is the compiled mapping with the codec behind it.

Whatever is not plain (an empty required field, a number with more decimals than its attribute, a date before the
common era) is not judged here: `build` gives None, and the reference says what is wrong with it. */
#include "capture.h"
#include <structmember.h>

#define MOST_PRECISION 38
#define FIRST_DAY (-719162)
#define MOST_DEPTH 16

/* What a column holds, as its type says; `producers.cdc.sections.Held`. */
enum Held { INTEGER, NUMERIC, WORDS, PADDED_WORDS, TRUTH, DATE, MOMENT, HELD_KINDS };
/* What an attribute takes; `producers.cdc.sections.Taken`. */
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

static void open_buffer(Buffer *buffer) {
    buffer->start = buffer->at = buffer->local;
    buffer->end = buffer->local + sizeof buffer->local;
}

static void close_buffer(Buffer *buffer) {
    if (buffer->start != buffer->local) PyMem_Free(buffer->start);
}

static bool room(Buffer *buffer, size_t size) {
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

static void put_long(Buffer *buffer, int64_t value) {
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (rest > 127) {
        *buffer->at++ = (uint8_t)(rest | 128);
        rest >>= 7;
    }
    *buffer->at++ = (uint8_t)rest;
}

static bool put_raw(Buffer *buffer, const void *data, size_t size) {
    if (!room(buffer, size)) return false;
    memcpy(buffer->at, data, size);
    buffer->at += size;
    return true;
}

static bool put_octets(Buffer *buffer, const void *data, size_t size) {
    if (!room(buffer, size + 10)) return false;
    put_long(buffer, (int64_t)size);
    memcpy(buffer->at, data, size);
    buffer->at += size;
    return true;
}

enum Outcome { DONE, UNFIT, FAILED }; /* UNFIT: the reference decides; FAILED: an exception is set */

static enum Outcome fine(bool is_fine) { return is_fine ? DONE : FAILED; }

/* ---- values ---- */

static u128 powers[MOST_PRECISION + 1];

static bool digits(const uint8_t *at, int count, int *value) {
    *value = 0;
    for (int index = 0; index < count; index++) {
        if (at[index] < '0' || at[index] > '9') return false;
        *value = *value * 10 + at[index] - '0';
    }
    return true;
}

/* A plain decimal: its unscaled value and its scale. */
static bool number_of(const Value *value, i128 *unscaled, int *scale) {
    const uint8_t *at = value->at, *end = at + value->size;
    bool is_negative = at < end && *at == '-';
    if (is_negative) at++;
    u128 magnitude = 0;
    int count = 0, behind = -1;
    for (; at < end; at++) {
        if (*at == '.' && behind < 0) {
            behind = 0;
            continue;
        }
        if (*at < '0' || *at > '9') return false;
        if (magnitude >= powers[MOST_PRECISION - 1] / 10) return false;
        magnitude = magnitude * 10 + (u128)(*at - '0');
        count++;
        if (behind >= 0) behind++;
    }
    if (count == 0) return false;
    *scale = behind < 0 ? 0 : behind;
    *unscaled = is_negative ? -(i128)magnitude : (i128)magnitude;
    return true;
}

/* The same number with another scale, where that is whole and within the limit. */
static bool rescaled(i128 *unscaled, int from, int to, u128 limit) {
    bool is_negative = *unscaled < 0;
    u128 magnitude = is_negative ? (u128)-*unscaled : (u128)*unscaled;
    if (to >= from) {
        if (to - from > MOST_PRECISION) return magnitude == 0;
        u128 factor = powers[to - from];
        if (magnitude != 0 && magnitude > (limit - 1) / factor) return false;
        magnitude *= factor;
    } else {
        if (from - to > MOST_PRECISION) return magnitude == 0 && (*unscaled = 0, true);
        u128 factor = powers[from - to];
        if (((magnitude | factor) >> 64) == 0) {
            uint64_t small = (uint64_t)magnitude, divisor = (uint64_t)factor;
            if (small % divisor) return false;
            magnitude = small / divisor;
        } else {
            if (magnitude % factor) return false;
            magnitude /= factor;
        }
    }
    if (magnitude >= limit) return false;
    *unscaled = is_negative ? -(i128)magnitude : (i128)magnitude;
    return true;
}

static bool put_decimal(Buffer *buffer, i128 unscaled) {
    u128 magnitude = unscaled < 0 ? (u128)-unscaled : (u128)unscaled;
    int bits = magnitude >> 64 ? 128 - __builtin_clzll((uint64_t)(magnitude >> 64))
                               : (magnitude ? 64 - __builtin_clzll((uint64_t)magnitude) : 0);
    int size = (bits + 8) / 8;
    if (!room(buffer, 20)) return false;
    *buffer->at++ = (uint8_t)(size << 1);
    for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) *buffer->at++ = (uint8_t)((u128)unscaled >> shift);
    return true;
}

static bool integer_of(const Value *value, int64_t *number) {
    const uint8_t *at = value->at, *end = at + value->size;
    bool is_negative = at < end && *at == '-';
    if (is_negative) at++;
    if (at == end || end - at > 18 || (*at == '0' && (end - at > 1 || is_negative))) return false;
    int64_t magnitude = 0;
    for (; at < end; at++) {
        if (*at < '0' || *at > '9') return false;
        magnitude = magnitude * 10 + (*at - '0');
    }
    *number = is_negative ? -magnitude : magnitude;
    return true;
}

static int64_t days_from(int year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era_year = (unsigned)(year - era * 400);
    unsigned of_year = (unsigned)((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1);
    unsigned of_era = of_era_year * 365 + of_era_year / 4 - of_era_year / 100 + of_year;
    return era * 146097 + (int64_t)of_era - 719468;
}

static bool day_at(const uint8_t *at, int64_t *days) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int year, month, day;
    if (!digits(at, 4, &year) || at[4] != '-' || !digits(at + 5, 2, &month) || at[7] != '-' ||
        !digits(at + 8, 2, &day) || year < 1 || month < 1 || month > 12 || day < 1)
        return false;
    bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > lengths[month - 1] + (month == 2 && is_leap)) return false;
    *days = days_from(year, month, day);
    return true;
}

static bool day_of(const Value *value, int64_t *days) { return value->size == 10 && day_at(value->at, days); }

/* `2026-11-21 08:00:00.25+00`: a session in UTC prints no other offset. */
static bool moment_of(const Value *value, int64_t *microseconds) {
    const uint8_t *at = value->at;
    int64_t days;
    int hour, minute, second, fraction = 0, size = (int)value->size;
    if (value->size < 22 || value->size > 29 || !day_at(at, &days) || at[10] != ' ' || !digits(at + 11, 2, &hour) ||
        at[13] != ':' || !digits(at + 14, 2, &minute) || at[16] != ':' || !digits(at + 17, 2, &second) || hour > 23 ||
        minute > 59 || second > 59 || memcmp(at + size - 3, "+00", 3) != 0)
        return false;
    if (size > 22) {
        int count = size - 23;
        if (at[19] != '.' || count < 1 || !digits(at + 20, count, &fraction)) return false;
        for (; count < 6; count++) fraction *= 10;
    }
    *microseconds = days * INT64_C(86400000000) + (hour * 3600 + minute * 60 + second) * INT64_C(1000000) + fraction;
    return true;
}

static enum Outcome check_utf8(const Value *value) {
    uint32_t index = 0;
    for (; index + 8 <= value->size; index += 8) {
        uint64_t word;
        memcpy(&word, value->at + index, 8);
        if (word & UINT64_C(0x8080808080808080)) break;
    }
    while (index < value->size && value->at[index] < 128) index++;
    if (index == value->size) return DONE;
    PyObject *text = PyUnicode_DecodeUTF8((const char *)value->at, value->size, NULL);
    if (text != NULL) {
        Py_DECREF(text);
        return DONE;
    }
    if (!PyErr_ExceptionMatches(PyExc_UnicodeDecodeError)) return FAILED;
    PyErr_Clear();
    return UNFIT;
}

/* ---- the rows of one level ---- */

typedef struct {
    const Value *rows[LEVELS];
} Scope;

static Value value_at(const Scope *scope, const Part *part) {
    const Value *row = scope->rows[part->level];
    return row == NULL ? (Value){NULL, SIZE_UNCHANGED} : row[part->index];
}

/* The text of a value, as `str` gives it; UNFIT where only Python knows it. */
static enum Outcome text_of(Value *value, enum Held held) {
    int64_t ignored;
    switch (held) {
    case INTEGER:
        return integer_of(value, &ignored) ? DONE : UNFIT;
    case DATE:
        return day_of(value, &ignored) ? DONE : UNFIT;
    case PADDED_WORDS:
        while (value->size > 0 && value->at[value->size - 1] == ' ') value->size--;
        return check_utf8(value);
    case WORDS:
        return check_utf8(value);
    default:
        return UNFIT;
    }
}

static enum Outcome put_column(Buffer *out, const Field *field, Value value, i128 *sums, bool *are_summed) {
    enum Held held = field->part.held;
    int64_t number;
    i128 unscaled;
    int scale;
    switch (field->taken) {
    case TEXT: {
        enum Outcome outcome = text_of(&value, held);
        return outcome == DONE ? fine(put_octets(out, value.at, value.size)) : outcome;
    }
    case DECIMAL:
        if ((held != INTEGER && held != NUMERIC) || !number_of(&value, &unscaled, &scale) ||
            !rescaled(&unscaled, scale, field->scale, field->limit))
            return UNFIT;
        if (field->summed >= 0) {
            sums[field->summed] += unscaled;
            i128 sum = sums[field->summed];
            /* Python's decimals keep 28 digits: beyond them its sums are rounded. */
            if (sum >= (i128)powers[27] || sum <= -(i128)powers[27]) are_summed[field->summed] = false;
        }
        return fine(put_decimal(out, unscaled));
    case LONG:
        if (held != INTEGER || !integer_of(&value, &number)) return UNFIT;
        break;
    case DAY:
        if (held != DATE || !day_of(&value, &number)) return UNFIT;
        break;
    case INSTANT:
        if (held != MOMENT || !moment_of(&value, &number)) return UNFIT;
        break;
    case BOOLEAN:
        if (held != TRUTH || value.size != 1 || (value.at[0] != 't' && value.at[0] != 'f')) return UNFIT;
        if (!room(out, 1)) return FAILED;
        *out->at++ = value.at[0] == 't';
        return DONE;
    default:
        return UNFIT;
    }
    if (!room(out, 10)) return FAILED;
    put_long(out, number);
    return DONE;
}

/* All parts as one text into `out`, without its length; `is_null` if one is NULL. */
static enum Outcome concatenated(Buffer *out, const Field *field, const Scope *scope, bool *is_null) {
    *is_null = false;
    for (uint32_t index = 0; index < field->count; index++) {
        const Part *part = &field->parts[index];
        if (part->text != NULL) {
            if (!put_raw(out, PyBytes_AS_STRING(part->text), (size_t)PyBytes_GET_SIZE(part->text))) return FAILED;
            continue;
        }
        Value value = value_at(scope, part);
        if (value.size == SIZE_NULL) {
            *is_null = true;
            return DONE;
        }
        if (!is_sent(&value)) return UNFIT;
        enum Outcome outcome = text_of(&value, part->held);
        if (outcome != DONE) return outcome;
        if (!put_raw(out, value.at, value.size)) return FAILED;
    }
    return DONE;
}

static enum Outcome put_null(Buffer *out, const Field *field) {
    if (!field->is_optional) return UNFIT;
    if (!room(out, 1)) return FAILED;
    *out->at++ = 0;
    return DONE;
}

static enum Outcome put_branch(Buffer *out, const Field *field) {
    if (!field->is_optional) return DONE;
    if (!room(out, 1)) return FAILED;
    *out->at++ = 2;
    return DONE;
}

static enum Outcome put_concat(Buffer *out, const Field *field, const Scope *scope) {
    Buffer text;
    open_buffer(&text);
    bool is_null;
    enum Outcome outcome = concatenated(&text, field, scope, &is_null);
    if (outcome == DONE && is_null) {
        outcome = put_null(out, field);
    } else if (outcome == DONE && (outcome = put_branch(out, field)) == DONE) {
        outcome = fine(put_octets(out, text.start, (size_t)(text.at - text.start)));
    }
    close_buffer(&text);
    return outcome;
}

static enum Outcome put_lookup(Buffer *out, const Field *field, const Scope *scope) {
    Value value = value_at(scope, &field->part);
    if (value.size == SIZE_NULL) return put_null(out, field);
    if (!is_sent(&value)) return UNFIT;
    enum Outcome outcome = text_of(&value, field->part.held);
    if (outcome != DONE) return outcome;
    PyObject *key = PyBytes_FromStringAndSize((const char *)value.at, value.size);
    PyObject *found = key == NULL ? NULL : PyDict_GetItemWithError(field->literal, key);
    Py_XDECREF(key);
    if (found == NULL) return PyErr_Occurred() ? FAILED : UNFIT;
    return fine(put_raw(out, PyBytes_AS_STRING(found), (size_t)PyBytes_GET_SIZE(found)));
}

/* ---- records ---- */

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
        return number_of(&value, &key->number, &key->scale) && rescaled(&key->number, key->scale, 12, powers[37])
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

typedef struct {
    Item *items;
    Value *values;
    struct SortKey *keys;
    size_t count;
} Items;

static void close_items(Items *all) {
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
    PyObject *children = around->node == NULL ? NULL : *slot(around->node, around->section->children_at);
    if (children == NULL || !PyDict_Check(children)) return UNFIT;
    PyObject *rows = PyDict_GetItemWithError(children, list->number);
    if (rows == NULL && PyErr_Occurred()) return FAILED;
    if (rows != NULL && !PyDict_Check(rows)) return UNFIT;
    size_t size = rows == NULL ? 0 : (size_t)PyDict_GET_SIZE(rows);
    Items all = {
        .items = PyMem_Calloc(size + 1, sizeof(Item)),
        .values = PyMem_Calloc((size + 1) * (list->columns + 1), sizeof(Value)),
        .keys = PyMem_Calloc((size + 1) * (list->order_count + 1), sizeof(struct SortKey)),
    };
    enum Outcome outcome = DONE;
    if (all.items == NULL || all.values == NULL || all.keys == NULL) {
        PyErr_NoMemory();
        outcome = FAILED;
    }
    PyObject *key, *row;
    for (Py_ssize_t place = 0; outcome == DONE && rows != NULL && PyDict_Next(rows, &place, &key, &row);) {
        if (all.count >= size) {
            outcome = UNFIT;
            break;
        }
        Py_INCREF(key);
        Py_INCREF(row);
        outcome = take_item(around->section, list, &all, key, row);
        Py_DECREF(key);
        Py_DECREF(row);
        if (outcome == DONE && (size_t)PyDict_GET_SIZE(rows) != size) outcome = UNFIT;
    }
    if (outcome == DONE) {
        sort_items(all.items, all.count, list);
        outcome = put_items(out, list, &all, scope, around);
    }
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

/* ---- construction ---- */

static Record *take_record(PyObject *given, int depth);

static bool wrong(const char *what) {
    if (!PyErr_Occurred()) PyErr_Format(PyExc_ValueError, "no such %s in a section", what);
    return false;
}

static bool take_part(PyObject *given, Part *part) {
    if (PyBytes_Check(given)) {
        part->text = Py_NewRef(given);
        return true;
    }
    unsigned level, index, held;
    if (!PyTuple_Check(given) || !PyArg_ParseTuple(given, "III", &level, &index, &held)) return wrong("part");
    if (level >= LEVELS || held >= HELD_KINDS) return wrong("part");
    *part = (Part){.level = (enum Level)level, .index = index, .held = (enum Held)held};
    return true;
}

static bool take_parts(PyObject *given, Part **parts, uint32_t *count) {
    if (!PyTuple_Check(given)) return wrong("parts");
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
        return take_part(content, &field->part) && (field->part.text == NULL || wrong("column"));
    case LITERAL:
        if (!PyBytes_Check(content)) return wrong("literal");
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
            if (!PyBytes_Check(value)) return wrong("entry");
        return take_part(part, &field->part) && (field->part.text == NULL || wrong("column"));
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
        return wrong("field");
    field->code = (enum Code)code;
    field->taken = (enum Taken)taken;
    field->is_optional = is_optional;
    field->limit = powers[precision];
    return take_content(content, field, depth) || wrong("content");
}

static bool take_list(PyObject *given, List *list, int depth) {
    PyObject *number, *prefix, *order, *record;
    if (!PyTuple_Check(given) ||
        !PyArg_ParseTuple(given, "OOIOOI", &number, &prefix, &list->columns, &order, &record, &list->sums))
        return false;
    if ((prefix != Py_None && !PyBytes_Check(prefix)) || list->columns > MOST_COLUMNS || list->sums > MOST_COLUMNS)
        return wrong("list");
    list->number = Py_NewRef(number);
    list->prefix = Py_NewRef(prefix);
    if (!take_parts(order, &list->order, &list->order_count)) return false;
    for (uint32_t index = 0; index < list->order_count; index++)
        if (list->order[index].text != NULL || list->order[index].level != OWN ||
            list->order[index].index >= list->columns)
            return wrong("order");
    return (list->record = take_record(record, depth + 1)) != NULL;
}

static void free_record(Record *record);

static void free_parts(Part *parts, uint32_t count) {
    for (uint32_t index = 0; parts != NULL && index < count; index++) Py_XDECREF(parts[index].text);
    PyMem_Free(parts);
}

static void free_field(Field *field) {
    Py_XDECREF(field->part.text);
    Py_XDECREF(field->literal);
    free_parts(field->parts, field->count);
    free_record(field->record);
}

static void free_record(Record *record) {
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

static Record *take_record(PyObject *given, int depth) {
    PyObject *fields, *lists;
    if (depth > MOST_DEPTH || !PyTuple_Check(given) ||
        !PyArg_ParseTuple(given, "O!O!", &PyTuple_Type, &fields, &PyTuple_Type, &lists)) {
        wrong("record");
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
    wrong("record");
    free_record(record);
    return NULL;
}

/* Every column that is read must be one of its row's. */
static bool fits_part(const Part *part, const uint32_t *widths) {
    return part->text != NULL || part->index < widths[part->level];
}

static bool fits(const Record *record, const uint32_t *widths, uint32_t sums) {
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

static PyObject *section_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    if (powers[0] == 0) {
        powers[0] = 1;
        for (int exponent = 1; exponent <= MOST_PRECISION; exponent++) powers[exponent] = powers[exponent - 1] * 10;
    }
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
    wrong("column");
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
