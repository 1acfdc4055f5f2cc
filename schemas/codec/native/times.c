/* Avro's timestamp-micros and date to datetime (aware, UTC) and date, and back. */
#include "avro.h"
#include <datetime.h>

#define DAY_MICROS INT64_C(86400000000)
#define SLOTS 1024

static struct {
    int64_t days;
    PyObject *date;
} shared[SLOTS];

bool times_prepare(void) {
    PyDateTime_IMPORT;
    return PyDateTimeAPI != NULL;
}

typedef struct {
    int year, month, day;
} Civil;

/* Howard Hinnant's civil_from_days: years begin in March, so that the leap day comes last. */
static Civil civil_from(int64_t days) {
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    unsigned of_era = (unsigned)(days - era * 146097);
    unsigned year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned of_year = of_era - (365 * year + year / 4 - year / 100);
    unsigned march = (5 * of_year + 2) / 153;
    int month = (int)(march < 10 ? march + 3 : march - 9);
    return (Civil){
        .year = (int)((int64_t)year + era * 400) + (month <= 2),
        .month = month,
        .day = (int)(of_year - (153 * march + 2) / 5 + 1),
    };
}

static int64_t days_from(int year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era_year = (unsigned)(year - era * 400);
    unsigned of_year = (unsigned)((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1);
    unsigned of_era = of_era_year * 365 + of_era_year / 4 - of_era_year / 100 + of_year;
    return era * 146097 + (int64_t)of_era - 719468;
}

PyObject *instant_from(int64_t micros) {
    if (micros < FIRST_DAY * DAY_MICROS || micros >= (LAST_DAY + 1) * DAY_MICROS) return NULL;
    int64_t days = micros / DAY_MICROS, rest = micros % DAY_MICROS;
    if (rest < 0) {
        rest += DAY_MICROS;
        days -= 1;
    }
    Civil civil = civil_from(days);
    int seconds = (int)(rest / 1000000);
    return PyDateTimeAPI->DateTime_FromDateAndTime(
        civil.year, civil.month, civil.day, seconds / 3600, seconds / 60 % 60, seconds % 60, (int)(rest % 1000000),
        PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType);
}

PyObject *day_from(int64_t days) {
    if (days < FIRST_DAY || days > LAST_DAY) return NULL;
    size_t slot = (size_t)(days & (SLOTS - 1));
    PyObject *date = shared[slot].date;
    if (date != NULL && shared[slot].days == days) {
        Py_INCREF(date);
        return date;
    }
    Civil civil = civil_from(days);
    date = PyDate_FromDate(civil.year, civil.month, civil.day);
    if (date != NULL) {
        PyObject *before = shared[slot].date;
        Py_INCREF(date);
        shared[slot].days = days;
        shared[slot].date = date;
        Py_XDECREF(before);
    }
    return date;
}

/* Other time zones than UTC: Python asks them for their offset. */
static enum Outcome put_zoned(Writer *writer, PyObject *value) {
    PyObject *micros = PyObject_CallOneArg(scalars.datetime_to_micros, value);
    if (micros == NULL) {
        bool is_unfit = PyErr_ExceptionMatches(PyExc_TypeError) || PyErr_ExceptionMatches(PyExc_ValueError) ||
                        PyErr_ExceptionMatches(PyExc_OverflowError);
        if (is_unfit) PyErr_Clear();
        return is_unfit ? UNFIT : FAILED;
    }
    long long number = PyLong_AsLongLong(micros);
    Py_DECREF(micros);
    if (number == -1 && PyErr_Occurred()) return FAILED;
    if (!reserve(writer, 10)) return FAILED;
    put_long(writer, number);
    return WRITTEN;
}

enum Outcome put_instant(Writer *writer, PyObject *value) {
    if (!PyDateTime_Check(value)) return UNFIT;
    if (!PyDateTime_CheckExact(value) || PyDateTime_DATE_GET_TZINFO(value) != PyDateTime_TimeZone_UTC)
        return put_zoned(writer, value);
    int64_t days =
        days_from(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value));
    int64_t seconds = PyDateTime_DATE_GET_HOUR(value) * 3600 + PyDateTime_DATE_GET_MINUTE(value) * 60 +
                      PyDateTime_DATE_GET_SECOND(value);
    if (!reserve(writer, 10)) return FAILED;
    put_long(writer, days * DAY_MICROS + seconds * 1000000 + PyDateTime_DATE_GET_MICROSECOND(value));
    return WRITTEN;
}

enum Outcome put_day(Writer *writer, PyObject *value) {
    if (!PyDate_Check(value) || PyDateTime_Check(value)) return UNFIT;
    if (!reserve(writer, 10)) return FAILED;
    put_long(writer, days_from(PyDateTime_GET_YEAR(value), PyDateTime_GET_MONTH(value), PyDateTime_GET_DAY(value)));
    return WRITTEN;
}
