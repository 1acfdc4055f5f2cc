/* Values of a row, from the text that the source sends; see sections.h. */
#include "sections.h"

u128 powers_of_ten[MOST_PRECISION + 1];

void prepare_powers(void) {
    powers_of_ten[0] = 1;
    for (int exponent = 1; exponent <= MOST_PRECISION; exponent++)
        powers_of_ten[exponent] = powers_of_ten[exponent - 1] * 10;
}

static bool digits(const uint8_t *at, int count, int *value) {
    *value = 0;
    for (int index = 0; index < count; index++) {
        if (at[index] < '0' || at[index] > '9') return false;
        *value = *value * 10 + at[index] - '0';
    }
    return true;
}

/* A plain decimal: its unscaled value and its scale. */
bool number_of(const Value *value, i128 *unscaled, int *scale) {
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
        if (magnitude >= powers_of_ten[MOST_PRECISION - 1] / 10) return false;
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
bool rescaled(i128 *unscaled, int from, int to, u128 limit) {
    bool is_negative = *unscaled < 0;
    u128 magnitude = is_negative ? (u128)-*unscaled : (u128)*unscaled;
    if (to >= from) {
        if (to - from > MOST_PRECISION) return magnitude == 0;
        u128 factor = powers_of_ten[to - from];
        if (magnitude != 0 && magnitude > (limit - 1) / factor) return false;
        magnitude *= factor;
    } else {
        if (from - to > MOST_PRECISION) return magnitude == 0 && (*unscaled = 0, true);
        u128 factor = powers_of_ten[from - to];
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

bool put_decimal(Buffer *buffer, i128 unscaled) {
    u128 magnitude = unscaled < 0 ? (u128)-unscaled : (u128)unscaled;
    int bits = magnitude >> 64 ? 128 - __builtin_clzll((uint64_t)(magnitude >> 64))
                               : (magnitude ? 64 - __builtin_clzll((uint64_t)magnitude) : 0);
    int size = (bits + 8) / 8;
    if (!room(buffer, 20)) return false;
    *buffer->at++ = (uint8_t)(size << 1);
    for (int shift = (size - 1) * 8; shift >= 0; shift -= 8) *buffer->at++ = (uint8_t)((u128)unscaled >> shift);
    return true;
}

bool integer_of(const Value *value, int64_t *number) {
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

bool day_of(const Value *value, int64_t *days) { return value->size == 10 && day_at(value->at, days); }

/* `2026-11-21 08:00:00.25+00`: a session in UTC prints no other offset. */
bool moment_of(const Value *value, int64_t *microseconds) {
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

/* The text of a value, as `str` gives it; UNFIT where only Python knows it. */
enum Outcome text_of(Value *value, enum Held held) {
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
