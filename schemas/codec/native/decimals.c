/* Avro's decimal to Decimal and back.

CPython offers no C interface for Decimals, and a round through text costs more than the rest of a field. This file
knows how `_decimal` lays a Decimal out. Whether that is so is proved at import, value by value; where it is not, and
for coefficients of more than two words, `schemas.codec.scalars` does the work through the public interface. */
#include "avro.h"

#define WORD_RADIX UINT64_C(10000000000000000000)
#define WORD_DIGITS 19

enum { NEGATIVE = 1, SPECIAL = 2 | 4 | 8, STATIC = 16, STATIC_DATA = 32, MIN_WORDS = 4 };

/* libmpdec's mpd_t, and the Decimal around it. */
typedef struct {
    uint8_t flags;
    Py_ssize_t exponent;
    Py_ssize_t digits;
    Py_ssize_t length;
    Py_ssize_t allocated;
    uint64_t *words;
} Number;

typedef struct {
    PyObject_HEAD
    Py_hash_t hash;
    Number number;
    uint64_t words[MIN_WORDS];
} DecimalObject;

static PyTypeObject *decimal_type;
static u128 powers[MAX_PRECISION + 1];

u128 power_of_ten(int exponent) { return powers[exponent]; }

static int digits_of(u128 magnitude) {
    int bits = magnitude >> 64 ? 128 - __builtin_clzll((uint64_t)(magnitude >> 64))
                               : 64 - __builtin_clzll((uint64_t)magnitude | 1);
    int digits = bits * 1233 >> 12; /* bits * log10(2), at most one too few */
    return digits + (digits > MAX_PRECISION || magnitude < powers[digits] ? 0 : 1) + (magnitude == 0);
}

static PyObject *decimal_of(bool is_negative, u128 magnitude, int scale) {
    DecimalObject *decimal = (DecimalObject *)decimal_type->tp_alloc(decimal_type, 0);
    if (decimal == NULL) return NULL;
    uint64_t low = (uint64_t)magnitude, high = 0;
    if (magnitude >= WORD_RADIX) {
        low = (uint64_t)(magnitude % WORD_RADIX);
        high = (uint64_t)(magnitude / WORD_RADIX);
    }
    decimal->hash = -1;
    decimal->words[0] = low;
    decimal->words[1] = high;
    decimal->number = (Number){
        .flags = (uint8_t)(STATIC | STATIC_DATA | (is_negative ? NEGATIVE : 0)),
        .exponent = -scale,
        .digits = digits_of(magnitude),
        .length = high ? 2 : 1,
        .allocated = MIN_WORDS,
        .words = decimal->words,
    };
    return (PyObject *)decimal;
}

/* The public interface, through Python. */
static PyObject *decimal_by_python(const Op *op, const uint8_t *data, Py_ssize_t size) {
    return PyObject_CallFunction(
        scalars.decimal_from_bytes, "y#ii", (const char *)data, size, op->scale, op->precision);
}

PyObject *decimal_from(const Program *program, const Op *op, const uint8_t *data, Py_ssize_t size) {
    if (size == 0) return NULL;
    bool is_negative = data[0] >= 128;
    uint8_t sign = is_negative ? 0xff : 0;
    while (size > 16 && data[0] == sign && (data[1] >= 128) == is_negative) {
        data++;
        size--;
    }
    if (size > 16) return NULL;
    u128 value = is_negative ? ~(u128)0 : 0;
    for (Py_ssize_t index = 0; index < size; index++) value = value << 8 | data[index];
    u128 magnitude = is_negative ? 0 - value : value;
    if (magnitude >= op->limit) return NULL;
    if (!program->knows_decimals) return decimal_by_python(op, data, size);
    return decimal_of(is_negative, magnitude, op->scale);
}

static enum Outcome put_by_python(const Op *op, Writer *writer, PyObject *value) {
    PyObject *written = PyObject_CallFunction(scalars.decimal_to_bytes, "Oii", value, op->scale, op->precision);
    if (written == NULL) {
        bool is_unfit = PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_ValueError);
        if (is_unfit) PyErr_Clear();
        return is_unfit ? UNFIT : FAILED;
    }
    enum Outcome outcome = FAILED;
    if (!PyBytes_Check(written)) {
        PyErr_SetString(PyExc_SystemError, "decimal_to_bytes gives bytes");
    } else if (PyBytes_GET_SIZE(written) == 0) {
        outcome = UNFIT;
    } else if (reserve(writer, (size_t)PyBytes_GET_SIZE(written))) {
        memcpy(writer->at, PyBytes_AS_STRING(written), (size_t)PyBytes_GET_SIZE(written));
        writer->at += PyBytes_GET_SIZE(written);
        outcome = WRITTEN;
    }
    Py_DECREF(written);
    return outcome;
}

/* Two's complement in as few bytes as hold the magnitude and a sign. */
enum Outcome put_unscaled(Writer *writer, bool is_negative, u128 magnitude) {
    int bits = magnitude >> 64 ? 128 - __builtin_clzll((uint64_t)(magnitude >> 64))
                               : (magnitude ? 64 - __builtin_clzll((uint64_t)magnitude) : 0);
    int size = (bits + 8) / 8;
    if (!reserve(writer, 32)) return FAILED;
    *writer->at++ = (uint8_t)(size << 1);
    u128 value = is_negative ? 0 - magnitude : magnitude;
    for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) *writer->at++ = (uint8_t)(value >> shift);
    return WRITTEN;
}

/* magnitude * 10 ** shift, where that is whole and below `limit`. */
static bool rescaled(u128 *magnitude, Py_ssize_t shift, u128 limit) {
    if (*magnitude == 0 || shift == 0) return *magnitude < limit;
    if (shift > 0) {
        if (shift >= MAX_PRECISION || *magnitude >= limit) return false;
        u128 factor = powers[shift];
        if (*magnitude > (limit - 1) / factor) return false;
        *magnitude *= factor;
        return true;
    }
    if (shift < -MAX_PRECISION) return false;
    u128 factor = powers[-shift];
    if (((*magnitude | factor) >> 64) == 0) {
        uint64_t small = (uint64_t)*magnitude, divisor = (uint64_t)factor;
        if (small % divisor) return false;
        *magnitude = small / divisor;
    } else {
        if (*magnitude % factor) return false;
        *magnitude /= factor;
    }
    return *magnitude < limit;
}

enum Outcome put_decimal(const Program *program, const Op *op, Writer *writer, PyObject *value) {
    if (!PyObject_TypeCheck(value, decimal_type)) return UNFIT;
    const Number *number = &((DecimalObject *)value)->number;
    if (!program->knows_decimals || number->length > 2) return put_by_python(op, writer, value);
    if (number->flags & SPECIAL) return UNFIT;
    u128 magnitude = number->words[0];
    if (number->length == 2) magnitude += (u128)number->words[1] * WORD_RADIX;
    if (!rescaled(&magnitude, number->exponent + op->scale, op->limit)) return UNFIT;
    return put_unscaled(writer, (number->flags & NEGATIVE) && magnitude, magnitude);
}

/* ---- the proof of the layout ---- */

static const struct {
    const char *text;
    bool is_negative;
    uint64_t high, low;
    int scale, digits;
} known[] = {
    {"0.0000", false, 0, 0, 4, 1},
    {"12.50", false, 0, 1250, 2, 4},
    {"-0.000001", true, 0, 1, 6, 1},
    {"9999999999999.999999", false, 0, WORD_RADIX - 1, 6, 19},
    {"-1000000000000000000.0", true, 1, 0, 1, 20},
    {"1234567890123456789.1234567890123456789", false, UINT64_C(1234567890123456789), UINT64_C(1234567890123456789),
     19, 38},
};

/* 1: `decimal`, of that text, is laid out as expected, and one of our making cannot be told from it. */
static int is_as_known(PyObject *decimal, size_t index) {
    const Number *number = &((DecimalObject *)decimal)->number;
    u128 magnitude = (u128)known[index].high * WORD_RADIX + known[index].low;
    bool is_expected = Py_TYPE(decimal) == decimal_type && number->words == ((DecimalObject *)decimal)->words &&
                       number->flags == (STATIC | STATIC_DATA | (known[index].is_negative ? NEGATIVE : 0)) &&
                       number->exponent == -known[index].scale && number->digits == known[index].digits &&
                       number->length == (known[index].high ? 2 : 1) && number->allocated == MIN_WORDS &&
                       number->words[0] == known[index].low &&
                       (number->length == 1 || number->words[1] == known[index].high);
    if (!is_expected) return 0;
    PyObject *ours = decimal_of(known[index].is_negative, magnitude, known[index].scale);
    PyObject *shown = ours == NULL ? NULL : PyObject_Str(ours);
    int same = shown == NULL ? -1 : PyUnicode_CompareWithASCIIString(shown, known[index].text) == 0;
    if (same == 1) same = PyObject_RichCompareBool(ours, decimal, Py_EQ);
    Py_XDECREF(shown);
    Py_XDECREF(ours);
    return same;
}

static int layout_is_known(void) {
    if (decimal_type->tp_basicsize != (Py_ssize_t)sizeof(DecimalObject) || decimal_type->tp_itemsize != 0) return 0;
    for (size_t index = 0; index < sizeof known / sizeof *known; index++) {
        PyObject *decimal = PyObject_CallFunction((PyObject *)decimal_type, "s", known[index].text);
        int same = decimal == NULL ? -1 : is_as_known(decimal, index);
        Py_XDECREF(decimal);
        if (same != 1) return same;
    }
    return 1;
}

int decimals_prepare(void) {
    powers[0] = 1;
    for (int exponent = 1; exponent <= MAX_PRECISION; exponent++) powers[exponent] = powers[exponent - 1] * 10;
    PyObject *module = PyImport_ImportModule("decimal");
    PyObject *type = module == NULL ? NULL : PyObject_GetAttrString(module, "Decimal");
    Py_XDECREF(module);
    if (type == NULL) return -1;
    if (!PyType_Check(type)) {
        Py_DECREF(type);
        PyErr_SetString(PyExc_ImportError, "decimal.Decimal is no type");
        return -1;
    }
    decimal_type = (PyTypeObject *)type;
    return layout_is_known();
}
