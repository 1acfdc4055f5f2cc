/* Text: short ASCII strings (codes, small ids) are made once and shared while they keep coming. */
#include "avro.h"

#define SLOTS 4096
#define LONGEST 16

static PyObject *shared[SLOTS];


static inline uint64_t load(const uint8_t *data, size_t size) {
    uint64_t word = 0;
    memcpy(&word, data, size);
    return word;
}

/* Two loads cover 2 to 16 bytes; they may overlap. */
static inline size_t slot_of(const uint8_t *data, size_t size) {
    uint64_t first, last;
    if (size >= 8) {
        first = load(data, 8);
        last = load(data + size - 8, 8);
    } else if (size >= 4) {
        first = load(data, 4);
        last = load(data + size - 4, 4);
    } else {
        first = load(data, 2);
        last = data[size - 1];
    }
    uint64_t mixed = (first ^ (last * 0x9E3779B97F4A7C15u) ^ size) * 0xD6E8FEB86659FD93u;
    return (size_t)(mixed >> 52);
}

PyObject *text_from(const uint8_t *data, Py_ssize_t size) {
    if (size < 2 || size > LONGEST) return PyUnicode_DecodeUTF8((const char *)data, size, NULL);
    PyObject **slot = &shared[slot_of(data, (size_t)size)];
    PyObject *text = *slot;
    /* Only compact ASCII is ever stored, so its one-byte data are its UTF-8. */
    if (text != NULL && PyUnicode_GET_LENGTH(text) == size && memcmp(PyUnicode_1BYTE_DATA(text), data, size) == 0) {
        Py_INCREF(text);
        return text;
    }
    text = PyUnicode_DecodeUTF8((const char *)data, size, NULL);
    if (text != NULL && PyUnicode_IS_COMPACT_ASCII(text)) {
        PyObject *before = *slot;
        Py_INCREF(text);
        *slot = text;
        Py_XDECREF(before);
    }
    return text;
}
