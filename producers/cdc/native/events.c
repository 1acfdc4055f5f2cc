/* The Avro message of a captured event around its section; the reference is `producers.cdc.records.RecordWriter`. */
#include "capture.h"
#include <datetime.h>

typedef struct {
    PyObject_HEAD
    PyObject *header, *topic, *system; /* bytes */
    uint8_t namespace[16];
} EventWriter;

/* ---- SHA-1 (FIPS 180-4), for UUIDs of version 5 (RFC 9562) ---- */

static uint32_t rotated(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static void sha1_block(uint32_t *state, const uint8_t *block) {
    uint32_t words[80];
    for (int index = 0; index < 16; index++)
        words[index] = (uint32_t)block[4 * index] << 24 | (uint32_t)block[4 * index + 1] << 16 |
                       (uint32_t)block[4 * index + 2] << 8 | block[4 * index + 3];
    for (int index = 16; index < 80; index++)
        words[index] = rotated(words[index - 3] ^ words[index - 8] ^ words[index - 14] ^ words[index - 16], 1);
    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int index = 0; index < 80; index++) {
        uint32_t mixed, constant;
        if (index < 20) {
            mixed = (b & c) | (~b & d);
            constant = 0x5A827999;
        } else if (index < 40) {
            mixed = b ^ c ^ d;
            constant = 0x6ED9EBA1;
        } else if (index < 60) {
            mixed = (b & c) | (b & d) | (c & d);
            constant = 0x8F1BBCDC;
        } else {
            mixed = b ^ c ^ d;
            constant = 0xCA62C1D6;
        }
        uint32_t next = rotated(a, 5) + mixed + e + constant + words[index];
        e = d;
        d = c;
        c = rotated(b, 30);
        b = a;
        a = next;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
}

static void sha1(const uint8_t *data, size_t size, uint8_t *digest) {
    uint32_t state[5] = {0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476, 0xC3D2E1F0};
    size_t whole = size / 64;
    for (size_t index = 0; index < whole; index++) sha1_block(state, data + 64 * index);
    uint8_t last[128] = {0};
    size_t rest = size - 64 * whole, blocks = rest < 56 ? 1 : 2;
    memcpy(last, data + 64 * whole, rest);
    last[rest] = 0x80;
    uint64_t bits = (uint64_t)size * 8;
    for (int index = 0; index < 8; index++) last[64 * blocks - 1 - (size_t)index] = (uint8_t)(bits >> (8 * index));
    for (size_t index = 0; index < blocks; index++) sha1_block(state, last + 64 * index);
    for (int index = 0; index < 20; index++) digest[index] = (uint8_t)(state[index / 4] >> (24 - 8 * (index % 4)));
}

static void uuid5(const uint8_t *data, size_t size, char *text) {
    uint8_t digest[20];
    sha1(data, size, digest);
    digest[6] = (digest[6] & 0x0f) | 0x50;
    digest[8] = (digest[8] & 0x3f) | 0x80;
    static const char hex[] = "0123456789abcdef";
    for (int index = 0; index < 16; index++) {
        if (index == 4 || index == 6 || index == 8 || index == 10) *text++ = '-';
        *text++ = hex[digest[index] >> 4];
        *text++ = hex[digest[index] & 15];
    }
}

/* ---- writing ---- */

static uint8_t *put_long(uint8_t *to, int64_t value) {
    uint64_t rest = ((uint64_t)value << 1) ^ (uint64_t)(value >> 63);
    while (rest > 127) {
        *to++ = (uint8_t)(rest | 128);
        rest >>= 7;
    }
    *to++ = (uint8_t)rest;
    return to;
}

static uint8_t *put_octets(uint8_t *to, const void *data, size_t size) {
    to = put_long(to, (int64_t)size);
    memcpy(to, data, size);
    return to + size;
}

static uint8_t *put_decimal_text(uint8_t *to, int64_t value) {
    char reversed[20];
    int count = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do reversed[count++] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    if (value < 0) *to++ = '-';
    while (count > 0) *to++ = (uint8_t)reversed[--count];
    return to;
}

static int64_t days_from(int year, int month, int day) {
    year -= month <= 2;
    int64_t era = (year >= 0 ? year : year - 399) / 400;
    unsigned of_era_year = (unsigned)(year - era * 400);
    unsigned of_year = (unsigned)((153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1);
    unsigned of_era = of_era_year * 365 + of_era_year / 4 - of_era_year / 100 + of_year;
    return era * 146097 + (int64_t)of_era - 719468;
}

static bool microseconds_of(PyObject *moment, int64_t *microseconds) {
    if (!PyDateTime_Check(moment) || PyDateTime_DATE_GET_TZINFO(moment) != PyDateTime_TimeZone_UTC) {
        PyErr_SetString(PyExc_ValueError, "a moment is a datetime in UTC");
        return false;
    }
    int64_t days = days_from(PyDateTime_GET_YEAR(moment), PyDateTime_GET_MONTH(moment), PyDateTime_GET_DAY(moment));
    int64_t seconds = PyDateTime_DATE_GET_HOUR(moment) * 3600 + PyDateTime_DATE_GET_MINUTE(moment) * 60 +
                      PyDateTime_DATE_GET_SECOND(moment);
    *microseconds =
        days * INT64_C(86400000000) + seconds * INT64_C(1000000) + PyDateTime_DATE_GET_MICROSECOND(moment);
    return true;
}

/* What stands in a message behind the order's key. */
typedef struct {
    const char *operation;
    Py_ssize_t operation_size;
    int64_t transaction_id, position, sequence, committed, captured;
} Head;

static PyObject *message_of(EventWriter *self, const char *key, size_t key_size, const Head *head, const char *section,
                            size_t section_size) {
    size_t header = (size_t)PyBytes_GET_SIZE(self->header), system = (size_t)PyBytes_GET_SIZE(self->system);
    size_t topic = (size_t)PyBytes_GET_SIZE(self->topic);
    uint8_t few[512];
    size_t name_room = 16 + system + topic + key_size + 64;
    uint8_t *name = name_room <= sizeof few ? few : PyMem_Malloc(name_room);
    PyObject *room = name == NULL
                         ? PyErr_NoMemory()
                         : PyBytes_FromStringAndSize(NULL, (Py_ssize_t)(header + 37 + key_size + system +
                                                                        (size_t)head->operation_size + section_size) +
                                                               100);
    if (room != NULL) {
        uint8_t *at = name;
        memcpy(at, self->namespace, 16);
        at += 16;
        memcpy(at, PyBytes_AS_STRING(self->system), system);
        at += system;
        *at++ = '/';
        memcpy(at, PyBytes_AS_STRING(self->topic), topic);
        at += topic;
        *at++ = '/';
        memcpy(at, key, key_size);
        at += key_size;
        *at++ = '/';
        at = put_decimal_text(at, head->position);
        *at++ = '/';
        at = put_decimal_text(at, head->transaction_id);
        char event_id[36];
        uuid5(name, (size_t)(at - name), event_id);
        uint8_t *to = (uint8_t *)PyBytes_AS_STRING(room);
        memcpy(to, PyBytes_AS_STRING(self->header), header);
        to = put_octets(to + header, event_id, 36);
        to = put_octets(to, key, key_size);
        to = put_octets(to, head->operation, (size_t)head->operation_size);
        to = put_octets(to, PyBytes_AS_STRING(self->system), system);
        to = put_long(to, head->transaction_id);
        to = put_long(to, head->position);
        to = put_long(to, head->sequence);
        to = put_long(to, head->committed);
        to = put_long(to, head->captured);
        *to++ = section == NULL ? 0 : 2;
        if (section != NULL) memcpy(to, section, section_size);
        to += section_size;
        _PyBytes_Resize(&room, (Py_ssize_t)(to - (uint8_t *)PyBytes_AS_STRING(room)));
    }
    if (name != few) PyMem_Free(name);
    return room;
}

/* event(key, operation, transaction_id, position, sequence, committed_at, captured_at, section) -> the message */
static PyObject *writer_event(EventWriter *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 8) return PyErr_Format(PyExc_TypeError, "event takes 8 arguments, not %zd", count);
    Py_ssize_t key_size;
    Head head;
    const char *key = PyUnicode_AsUTF8AndSize(args[0], &key_size);
    head.operation = key == NULL ? NULL : PyUnicode_AsUTF8AndSize(args[1], &head.operation_size);
    if (head.operation == NULL) return NULL;
    head.transaction_id = PyLong_AsLongLong(args[2]);
    head.position = PyLong_AsLongLong(args[3]);
    head.sequence = PyLong_AsLongLong(args[4]);
    if (PyErr_Occurred()) return NULL;
    if (!microseconds_of(args[5], &head.committed) || !microseconds_of(args[6], &head.captured)) return NULL;
    if (args[7] == Py_None) return message_of(self, key, (size_t)key_size, &head, NULL, 0);
    if (!PyBytes_Check(args[7])) {
        PyErr_SetString(PyExc_TypeError, "a section is bytes or None");
        return NULL;
    }
    return message_of(self, key, (size_t)key_size, &head, PyBytes_AS_STRING(args[7]),
                      (size_t)PyBytes_GET_SIZE(args[7]));
}

static PyObject *writer_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyDateTime_IMPORT;
    PyObject *header, *topic, *system;
    const char *namespace;
    Py_ssize_t size;
    if (PyDateTimeAPI == NULL || !PyArg_ParseTuple(args, "SSSy#", &header, &topic, &system, &namespace, &size))
        return NULL;
    if (size != 16) {
        PyErr_SetString(PyExc_ValueError, "a namespace has 16 bytes");
        return NULL;
    }
    EventWriter *self = (EventWriter *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->header = Py_NewRef(header);
    self->topic = Py_NewRef(topic);
    self->system = Py_NewRef(system);
    memcpy(self->namespace, namespace, 16);
    return (PyObject *)self;
}

static void writer_free(EventWriter *self) {
    Py_XDECREF(self->header);
    Py_XDECREF(self->topic);
    Py_XDECREF(self->system);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef writer_methods[] = {
    {"event", (PyCFunction)(void (*)(void))writer_event, METH_FASTCALL, "The message of one event."},
    {NULL},
};

PyTypeObject EventWriterType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_capture.EventWriter",
    .tp_doc = "EventWriter(header, topic, system, namespace): messages of captured events for one topic.",
    .tp_basicsize = sizeof(EventWriter),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = writer_new,
    .tp_dealloc = (destructor)writer_free,
    .tp_methods = writer_methods,
};
