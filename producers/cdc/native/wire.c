/* pgoutput messages, many at once; the reference is `producers.cdc.postgres.transactions` with its decoder. */
#include "capture.h"
#include <datetime.h>

#define DAY_MICROSECONDS INT64_C(86400000000)

static PyTypeObject *known_assembler;
static Py_ssize_t begin_at, changes_at, parts_at, origin_at, first_sequence_at;
static PyObject *begin_type, *epoch, *str_columns, *str_replica_identity, *str_is_key, *str_slowly;

static uint32_t be32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static uint64_t be64(const uint8_t *at) { return (uint64_t)be32(at) << 32 | be32(at + 4); }

bool wire_prepare(void) {
    PyDateTime_IMPORT;
    if (PyDateTimeAPI == NULL) return false;
    epoch = PyDateTimeAPI->DateTime_FromDateAndTime(
        2000, 1, 1, 0, 0, 0, 0, PyDateTime_TimeZone_UTC, PyDateTimeAPI->DateTimeType);
    str_columns = PyUnicode_InternFromString("columns");
    str_replica_identity = PyUnicode_InternFromString("replica_identity");
    str_is_key = PyUnicode_InternFromString("is_key");
    str_slowly = PyUnicode_InternFromString("feed_slowly");
    return epoch && str_columns && str_replica_identity && str_is_key && str_slowly;
}

/* Whether microseconds since 2000 lead to a year from 1 to 9999. */
static bool is_time(int64_t microseconds) {
    return microseconds >= -730119 * DAY_MICROSECONDS && microseconds < 2921940 * DAY_MICROSECONDS;
}

/* The time of microseconds since 2000, as `datetime` adds them. */
static PyObject *time_of(int64_t microseconds) {
    int64_t days = microseconds / DAY_MICROSECONDS, rest = microseconds % DAY_MICROSECONDS;
    if (rest < 0) {
        rest += DAY_MICROSECONDS;
        days -= 1;
    }
    PyObject *delta = PyDelta_FromDSU((int)days, (int)(rest / 1000000), (int)(rest % 1000000));
    PyObject *moment = delta == NULL ? NULL : PyNumber_Add(epoch, delta);
    Py_XDECREF(delta);
    return moment;
}

/* An instance of a named tuple; takes over the references, NULL among them means an exception. */
static PyObject *named_tuple(PyTypeObject *type, PyObject **items, Py_ssize_t count) {
    bool whole = true;
    for (Py_ssize_t index = 0; index < count; index++) whole = whole && items[index] != NULL;
    PyObject *tuple = whole ? type->tp_alloc(type, count) : NULL;
    for (Py_ssize_t index = 0; index < count; index++) {
        if (tuple != NULL) PyTuple_SET_ITEM(tuple, index, items[index]);
        else Py_XDECREF(items[index]);
    }
    return tuple;
}

/* ---- one feed ---- */

typedef struct {
    PyObject *assembler;
    PyObject *relations; /* borrowed: the decoder's dict */
    PyObject *changes;   /* the list being filled */
    PyObject *parts;
    Py_ssize_t max_changes;
    bool has_begun; /* a transaction that began here; the Python side is not told yet */
    uint64_t commit_position;
    int64_t committed;
    uint32_t transaction_id;
    /* the last relation */
    uint32_t relation_id, count;
    PyObject *relation; /* borrowed from the dict */
    bool is_full;
} Feed;

static bool know(PyTypeObject *type) {
    if (type == known_assembler) return true;
    if (!find_slot(type, "_begin", &begin_at) || !find_slot(type, "_changes", &changes_at) ||
        !find_slot(type, "_parts", &parts_at) || !find_slot(type, "_origin", &origin_at) ||
        !find_slot(type, "_first_sequence", &first_sequence_at))
        return false;
    Py_XDECREF((PyObject *)known_assembler);
    known_assembler = (PyTypeObject *)Py_NewRef((PyObject *)type);
    return true;
}

static void take(Feed *feed) {
    feed->changes = *slot(feed->assembler, changes_at);
    feed->parts = *slot(feed->assembler, parts_at);
    feed->relation = NULL;
}

/* Tell the Python side of a transaction that began here. */
static bool tell_begin(Feed *feed) {
    if (!feed->has_begun) return true;
    PyObject *items[] = {PyLong_FromUnsignedLongLong(feed->commit_position), time_of(feed->committed),
                         PyLong_FromUnsignedLong(feed->transaction_id), Py_NewRef(Py_None)};
    PyObject *begin = named_tuple((PyTypeObject *)begin_type, items, 4);
    if (begin == NULL) return false;
    PyObject *zero = PyLong_FromLong(0);
    Py_XSETREF(*slot(feed->assembler, begin_at), begin);
    Py_XSETREF(*slot(feed->assembler, origin_at), Py_NewRef(Py_None));
    Py_XSETREF(*slot(feed->assembler, first_sequence_at), zero);
    feed->has_begun = false;
    return zero != NULL;
}

static bool feed_slowly(Feed *feed, PyObject *message, PyObject *at) {
    if (!tell_begin(feed)) return false;
    PyObject *done = PyObject_CallMethodObjArgs(feed->assembler, str_slowly, message, at, NULL);
    if (done == NULL) return false;
    Py_DECREF(done);
    take(feed);
    if (feed->changes == NULL || feed->parts == NULL || !PyList_CheckExact(feed->changes) ||
        !PyList_CheckExact(feed->parts)) {
        PyErr_SetString(PyExc_TypeError, "an assembler keeps lists");
        return false;
    }
    return true;
}

static bool find_relation(Feed *feed, uint32_t relation_id) {
    if (feed->relation != NULL && feed->relation_id == relation_id) return true;
    PyObject *number = PyLong_FromUnsignedLong(relation_id);
    if (number == NULL) return false;
    PyObject *relation = PyDict_GetItemWithError(feed->relations, number);
    if (relation == NULL && !PyErr_Occurred()) PyErr_SetObject(PyExc_KeyError, number);
    Py_DECREF(number);
    if (relation == NULL) return false;
    PyObject *columns = PyObject_GetAttr(relation, str_columns);
    PyObject *identity = columns == NULL ? NULL : PyObject_GetAttr(relation, str_replica_identity);
    bool is_known = identity != NULL && PyTuple_Check(columns) && PyTuple_GET_SIZE(columns) <= MOST_COLUMNS;
    if (is_known) {
        feed->relation_id = relation_id;
        feed->relation = relation;
        feed->count = (uint32_t)PyTuple_GET_SIZE(columns);
        feed->is_full = identity == names.full;
    } else if (!PyErr_Occurred()) {
        PyErr_SetString(PyExc_ValueError, "a relation without columns");
    }
    Py_XDECREF(columns);
    Py_XDECREF(identity);
    return is_known;
}

/* Leave out what does not belong to the key. */
static bool only_key(Feed *feed, PyObject *given) {
    SentRow *row = (SentRow *)given;
    PyObject *columns = PyObject_GetAttr(feed->relation, str_columns);
    if (columns == NULL) return false;
    bool is_done = PyTuple_Check(columns) && PyTuple_GET_SIZE(columns) == (Py_ssize_t)row->count;
    for (uint32_t index = 0; is_done && index < row->count; index++) {
        PyObject *is_key = PyObject_GetAttr(PyTuple_GET_ITEM(columns, index), str_is_key);
        int truth = is_key == NULL ? -1 : PyObject_IsTrue(is_key);
        Py_XDECREF(is_key);
        is_done = truth >= 0;
        if (truth == 0) row->places[index].size = SIZE_UNCHANGED;
    }
    Py_DECREF(columns);
    return is_done;
}

static PyObject *old_row(Feed *feed, uint8_t kind, const uint8_t **at, const uint8_t *end) {
    PyObject *row = row_from_tuple_data(at, end, feed->count);
    if (row == NULL || kind == 'O') return row;
    if (kind != 'K') PyErr_Format(PyExc_ValueError, "old row of unknown kind %d", kind);
    else if (only_key(feed, row)) return row;
    Py_DECREF(row);
    return NULL;
}

/* The RowChange of an insert, update or delete; NULL with whatever the bytes provoke. */
static PyObject *row_change(Feed *feed, const uint8_t *at, const uint8_t *end) {
    uint8_t operation = *at++;
    if (end - at < 5) {
        PyErr_SetString(PyExc_ValueError, "cut off before its row");
        return NULL;
    }
    if (!find_relation(feed, be32(at))) return NULL;
    uint8_t kind = at[4];
    at += 5;
    PyObject *new = NULL, *old = NULL;
    if (operation == 'D') {
        old = old_row(feed, kind, &at, end);
        if (old == NULL) return NULL;
    } else {
        if (operation == 'U' && kind != 'N') {
            old = old_row(feed, kind, &at, end);
            if (old == NULL) return NULL;
            kind = at < end ? *at++ : 0;
        }
        if (kind == 'N') new = row_from_tuple_data(&at, end, feed->count);
        else PyErr_SetString(PyExc_ValueError, "a change without its new row");
        if (new != NULL && old != NULL && feed->is_full) Py_SETREF(new, row_completed(new, old));
        if (new == NULL) {
            Py_XDECREF(old);
            return NULL;
        }
    }
    if (at != end) {
        PyErr_Format(PyExc_ValueError, "%zd bytes too many", (Py_ssize_t)(end - at));
        Py_XDECREF(new);
        Py_XDECREF(old);
        return NULL;
    }
    PyObject *name = operation == 'I' ? names.insert : operation == 'U' ? names.update : names.delete_;
    PyObject *items[] = {Py_NewRef(name), Py_NewRef(feed->relation), new ? new : Py_NewRef(Py_None),
                         old ? old : Py_NewRef(Py_None)};
    return named_tuple(names.row_change, items, 4);
}

/* What the Python decoder raises for the same bytes. */
static bool invalid(const uint8_t *at, const uint8_t *end) {
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    PyErr_NormalizeException(&type, &value, &trace);
    if (!PyErr_GivenExceptionMatches(value, PyExc_ValueError) && !PyErr_GivenExceptionMatches(value, PyExc_KeyError)) {
        PyErr_Restore(type, value, trace);
        return false;
    }
    PyObject *message = PyUnicode_FromFormat(
        "pgoutput message of kind b'%c' with %zd bytes cannot be decoded: %R; the replication stream is damaged or "
        "speaks an unknown protocol version",
        *at, (Py_ssize_t)(end - at), value);
    PyObject *keywords = message == NULL ? NULL : Py_BuildValue("{ss}", "rule", "invalid_pgoutput");
    PyObject *arguments = keywords == NULL ? NULL : PyTuple_Pack(1, message);
    PyObject *error = arguments == NULL ? NULL : PyObject_Call(names.invalid_message, arguments, keywords);
    if (error != NULL) {
        PyException_SetCause(error, Py_XNewRef(value));
        PyErr_SetObject(names.invalid_message, error);
    }
    Py_XDECREF(message);
    Py_XDECREF(keywords);
    Py_XDECREF(arguments);
    Py_XDECREF(error);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(trace);
    return false;
}

/* A transaction that began and ends in this feed. */
static bool commit(Feed *feed, const uint8_t *at) {
    uint64_t end_position = be64(at + 10);
    PyObject *items[] = {
        PyLong_FromUnsignedLong(feed->transaction_id),
        PyLong_FromUnsignedLongLong(feed->commit_position),
        time_of(feed->committed),
        Py_NewRef(feed->changes),
        PyLong_FromLong(0),
        Py_NewRef(Py_True),
        PyLong_FromUnsignedLongLong(end_position),
        Py_NewRef(Py_None),
    };
    PyObject *transaction = named_tuple(names.source_transaction, items, 8);
    PyObject *fresh = transaction == NULL ? NULL : PyList_New(0);
    bool is_done = fresh != NULL && PyList_Append(feed->parts, transaction) == 0;
    Py_XDECREF(transaction);
    if (!is_done) {
        Py_XDECREF(fresh);
        return false;
    }
    Py_SETREF(*slot(feed->assembler, changes_at), fresh);
    feed->changes = fresh;
    feed->has_begun = false;
    return true;
}

static bool feed_one(Feed *feed, PyObject *message, PyObject *offset, Py_ssize_t start) {
    const uint8_t *data = (const uint8_t *)PyBytes_AS_STRING(message);
    const uint8_t *at = data + start, *end = data + PyBytes_GET_SIZE(message);
    if (at >= end) return feed_slowly(feed, message, offset);
    switch (*at) {
    case 'I':
    case 'U':
    case 'D': {
        bool in_transaction = feed->has_begun || *slot(feed->assembler, begin_at) != Py_None;
        if (!in_transaction || PyList_GET_SIZE(feed->changes) + 1 >= feed->max_changes)
            return feed_slowly(feed, message, offset);
        PyObject *change = row_change(feed, at, end);
        if (change == NULL) return invalid(at, end);
        bool is_kept = PyList_Append(feed->changes, change) == 0;
        Py_DECREF(change);
        return is_kept;
    }
    case 'B':
        if (end - at != 21 || feed->has_begun || !is_time((int64_t)be64(at + 9)) || *slot(feed->assembler, begin_at) != Py_None)
            return feed_slowly(feed, message, offset);
        feed->has_begun = true;
        feed->commit_position = be64(at + 1);
        feed->committed = (int64_t)be64(at + 9);
        feed->transaction_id = be32(at + 17);
        return true;
    case 'C':
        if (end - at != 26 || !feed->has_begun) return feed_slowly(feed, message, offset);
        return commit(feed, at);
    default:
        return feed_slowly(feed, message, offset);
    }
}

/* feed(assembler, decoder, messages, at): as `TransactionAssembler.feed`, the parts staying with the assembler. */
PyObject *wire_feed(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    if (count != 5) return PyErr_Format(PyExc_TypeError, "feed takes 5 arguments, not %zd", count);
    Feed feed = {.assembler = args[0], .relations = args[1]};
    Py_ssize_t start = PyLong_AsSsize_t(args[3]);
    if (start == -1 && PyErr_Occurred()) return NULL;
    feed.max_changes = PyLong_AsSsize_t(args[4]);
    if (feed.max_changes == -1 && PyErr_Occurred()) return NULL;
    if (start < 0 || !PyDict_Check(feed.relations) || !PyList_Check(args[2])) {
        PyErr_SetString(PyExc_TypeError, "feed takes a dict of relations and a list of messages");
        return NULL;
    }
    if (begin_type == NULL) {
        PyObject *messages = PyImport_ImportModule("producers.cdc.postgres.messages");
        begin_type = messages == NULL ? NULL : PyObject_GetAttrString(messages, "Begin");
        Py_XDECREF(messages);
        if (begin_type == NULL) return NULL;
    }
    if (!know(Py_TYPE(feed.assembler))) return NULL;
    take(&feed);
    bool is_fine = true;
    for (Py_ssize_t index = 0; is_fine && index < PyList_GET_SIZE(args[2]); index++) {
        PyObject *message = PyList_GET_ITEM(args[2], index);
        if (!PyBytes_CheckExact(message)) {
            PyErr_SetString(PyExc_TypeError, "a message is bytes");
            return NULL;
        }
        Py_INCREF(message);
        is_fine = feed_one(&feed, message, args[3], start);
        Py_DECREF(message);
    }
    if (!is_fine || !tell_begin(&feed)) return NULL;
    Py_RETURN_NONE;
}

/* ---- libpq ---- */

bool take_libpq(Libpq *libpq, PyObject *const *args) {
    libpq->get = (int (*)(void *, char **, int))PyLong_AsVoidPtr(args[0]);
    libpq->release = (void (*)(void *))PyLong_AsVoidPtr(args[1]);
    libpq->connection = PyLong_AsVoidPtr(args[2]);
    if (PyErr_Occurred()) return false;
    if (libpq->get != NULL && libpq->release != NULL && libpq->connection != NULL) return true;
    PyErr_SetString(PyExc_ValueError, "libpq's functions and a connection are needed");
    return false;
}

/* drain(get, free, connection, messages, most) -> the last result of PQgetCopyData: 0 nothing more now, -1 ended.

What begins with `w` is appended to `messages`; at another message it stops and gives its bytes instead. */
PyObject *wire_drain(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    if (count != 5) return PyErr_Format(PyExc_TypeError, "drain takes 5 arguments, not %zd", count);
    Libpq libpq;
    Py_ssize_t most = PyLong_AsSsize_t(args[4]);
    if ((most == -1 && PyErr_Occurred()) || !take_libpq(&libpq, args)) return NULL;
    if (!PyList_Check(args[3])) return PyErr_Format(PyExc_TypeError, "drain fills a list");
    while (PyList_GET_SIZE(args[3]) < most) {
        char *buffer = NULL;
        int size = libpq.get(libpq.connection, &buffer, 1);
        if (size <= 0) return PyLong_FromLong(size);
        PyObject *message = PyBytes_FromStringAndSize(buffer, size);
        bool is_data = buffer[0] == 'w';
        libpq.release(buffer);
        if (message == NULL || !is_data) return message;
        int failed = PyList_Append(args[3], message);
        Py_DECREF(message);
        if (failed) return NULL;
    }
    return PyLong_FromLong(1);
}
