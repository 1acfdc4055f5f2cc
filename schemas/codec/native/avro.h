/* The native Avro engine: what its parts share. The contract is `schemas.codec.engine.Engine`. */
#ifndef ORDERSYNC_AVRO_H
#define ORDERSYNC_AVRO_H

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

#define MAX_PRECISION 38
#define FIRST_DAY (-719162) /* 0001-01-01 */
#define LAST_DAY 2932896    /* 9999-12-31 */

enum Kind { RECORD, BOOLEAN, LONG, INSTANT, DAY, TEXT, OCTETS, DECIMAL, KINDS };

struct Program;

/* The short texts that a field had of late; see texts.c. */
typedef struct {
    uint64_t first, last;
    size_t size; /* 0: nothing is kept here */
} TextKey;

typedef struct {
    TextKey key;
    PyObject *text;
} KeptText;

typedef struct {
    int trust;
    unsigned passed;
    KeptText kept[8];
} TextMemory;

/* One field of a record. */
typedef struct {
    enum Kind kind;
    bool is_optional;
    bool is_list;
    int precision;
    int scale;
    u128 limit; /* 10 ** precision */
    struct Program *record;
    PyObject *name;     /* interned */
    PyObject *expected; /* for people: what may be written */
    TextMemory *memory; /* of a text */
} Op;

/* The fields of one model in wire order, and what is needed to make an instance of it. */
typedef struct Program {
    PyObject_HEAD
    PyTypeObject *model;
    PyObject *blank;      /* dict: each field's name to None */
    PyObject *fields_set; /* the set that all instances share */
    Py_ssize_t fields_set_offset, extra_offset, private_offset;
    bool is_frozen;       /* this model and those within it: no instance comes to refer to itself */
    bool knows_decimals;  /* may read and make Decimals by their layout */
    Py_ssize_t count;     /* of ops */
    Py_ssize_t head;      /* count of ops before the sections */
    Op *ops;
} Program;

/* What the extension takes from `schemas.codec.scalars`, once. */
typedef struct {
    PyObject *malformed;
    PyObject *refuse;
    PyObject *decimal_from_bytes;
    PyObject *decimal_to_bytes;
    PyObject *datetime_to_micros;
} Scalars;

extern Scalars scalars;

/* ---- reading ---- */

typedef struct {
    const uint8_t *start, *at, *end;
} Reader;

/* Raise UndecodableMessage about a field; always NULL. */
PyObject *malformed(const Program *program, const Op *op, const Reader *reader, const char *what);

/* Instance of `program`'s model; `sections` is a list that takes the bytes of each section, or NULL. */
PyObject *read_record(const Program *program, Reader *reader, PyObject *sections);

bool read_long_slowly(Reader *reader, uint64_t *value);

/* False where no number stands at the place; no exception is set. */
static inline bool read_unsigned(Reader *reader, uint64_t *value) {
    if (reader->at < reader->end && *reader->at < 128) {
        *value = *reader->at++;
        return true;
    }
    return read_long_slowly(reader, value);
}

static inline bool read_long(Reader *reader, int64_t *value) {
    uint64_t raw;
    if (!read_unsigned(reader, &raw)) return false;
    *value = (int64_t)((raw >> 1) ^ (0 - (raw & 1)));
    return true;
}

/* ---- writing ---- */

typedef struct {
    uint8_t *start, *at, *end;
    uint8_t local[4096];
} Writer;

/* Raise InvalidValue about a field; always false. */
bool refuse(const Program *program, const Op *op, PyObject *value);

/* Write the first `count` fields of `instance`. */
bool write_record(const Program *program, Py_ssize_t count, PyObject *instance, Writer *writer);

bool grow(Writer *writer, size_t size);

/* Room for `size` more bytes. */
static inline bool reserve(Writer *writer, size_t size) {
    return (size_t)(writer->end - writer->at) >= size || grow(writer, size);
}

/* Needs room for ten bytes. */
static inline void put_long(Writer *writer, int64_t value) {
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (rest > 127) {
        *writer->at++ = (uint8_t)(rest | 128);
        rest >>= 7;
    }
    *writer->at++ = (uint8_t)rest;
}

/* A length, then the bytes. */
static inline bool put_octets(Writer *writer, const void *data, Py_ssize_t size) {
    if (!reserve(writer, (size_t)size + 10)) return false;
    put_long(writer, size);
    memcpy(writer->at, data, (size_t)size);
    writer->at += size;
    return true;
}

/* ---- values ---- */

enum Outcome { WRITTEN, UNFIT, FAILED }; /* FAILED: a Python exception is set */

/* The str of some UTF-8; NULL with UnicodeDecodeError. */
PyObject *text_from(TextMemory *memory, const uint8_t *data, Py_ssize_t size);

bool times_prepare(void);
/* NULL without an exception: outside the years 1 to 9999. */
PyObject *instant_from(int64_t micros);
PyObject *day_from(int64_t days);
enum Outcome put_instant(Writer *writer, PyObject *value);
enum Outcome put_day(Writer *writer, PyObject *value);

/* Whether Decimals of this Python have the layout that the functions below know; -1 with an exception. */
int decimals_prepare(void);
/* NULL without an exception: no bytes, or more digits than the precision. */
PyObject *decimal_from(const Program *program, const Op *op, const uint8_t *data, Py_ssize_t size);
enum Outcome put_decimal(const Program *program, const Op *op, Writer *writer, PyObject *value);
/* The octets of a decimal's unscaled value, with their length. */
enum Outcome put_unscaled(Writer *writer, bool is_negative, u128 magnitude);
u128 power_of_ten(int exponent);

extern PyTypeObject ProgramType;

#endif
