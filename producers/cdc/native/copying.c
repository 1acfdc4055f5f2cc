/* Rows as COPY writes them in its text format; the reference is `producers.cdc.postgres.copying`. */
#include "capture.h"

static PyObject *refused(const char *problem) {
    PyErr_SetString(PyExc_ValueError, problem);
    return NULL;
}

/* The byte that an escape stands for; -1 for one that COPY does not write. */
static int unescaped(uint8_t escape) {
    switch (escape) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case 'v': return '\v';
    case '\\': return '\\';
    default: return -1;
    }
}

/* A row from one line with its newline. */
static PyObject *copied_row(const uint8_t *at, size_t size, uint32_t count) {
    if (size == 0 || at[size - 1] != '\n') return refused("a line of COPY without its end");
    const uint8_t *end = at + size - 1;
    SentRow *row = new_row(count, size);
    if (row == NULL) return NULL;
    uint8_t *data = (uint8_t *)&row->places[count];
    uint32_t used = 0, found = 0;
    bool is_more = count > 0;
    while (is_more && found < count) {
        uint32_t begin = used;
        bool is_null = end - at >= 2 && at[0] == '\\' && at[1] == 'N' && (at + 2 == end || at[2] == '\t');
        if (is_null) at += 2;
        while (at < end && *at != '\t') {
            if (*at != '\\') {
                data[used++] = *at++;
                continue;
            }
            int byte = end - at < 2 ? -1 : unescaped(at[1]);
            if (byte < 0) {
                Py_DECREF(row);
                return refused("a value of COPY with an unknown escape");
            }
            data[used++] = (uint8_t)byte;
            at += 2;
        }
        row->places[found++] = (struct Place){begin, is_null ? SIZE_NULL : used - begin};
        /* Behind a tab there is one more value, be it empty. */
        is_more = at < end;
        if (is_more) at++;
    }
    if (found == count && !is_more && at == end) return (PyObject *)row;
    Py_DECREF(row);
    PyErr_Format(PyExc_ValueError, "a snapshot row has not the %u values of its columns", count);
    return NULL;
}

/* copied(get, free, connection, rows, count) -> the last result of PQgetCopyData: 0 nothing more now, -1 ended.

Appends a row of `count` values for each line that libpq has received. */
PyObject *copying_rows(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    if (count != 5) return PyErr_Format(PyExc_TypeError, "copied takes 5 arguments, not %zd", count);
    Libpq libpq;
    long width = PyLong_AsLong(args[4]);
    if ((width == -1 && PyErr_Occurred()) || !take_libpq(&libpq, args)) return NULL;
    if (!PyList_Check(args[3]) || width < 0 || width > MOST_COLUMNS)
        return PyErr_Format(PyExc_ValueError, "copied fills a list with rows of a table's width");
    for (;;) {
        char *buffer = NULL;
        int size = libpq.get(libpq.connection, &buffer, 1);
        if (size <= 0) return PyLong_FromLong(size);
        PyObject *row = copied_row((const uint8_t *)buffer, (size_t)size, (uint32_t)width);
        libpq.release(buffer);
        if (row == NULL) return NULL;
        int failed = PyList_Append(args[3], row);
        Py_DECREF(row);
        if (failed) return NULL;
    }
}
