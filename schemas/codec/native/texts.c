/* Text: a field of codes takes the same few values again and again, which are made once and shared.

Each field remembers eight short ASCII values beside its op, so that a look-up touches no other memory. A field whose
values hardly ever come again (ids) loses trust and is then looked up in one of 32 times only. */
#include "avro.h"

#define MOST_TRUST 64

static inline uint64_t load(const uint8_t *data, size_t size) {
    uint64_t word = 0;
    memcpy(&word, data, size);
    return word;
}

/* Two words hold 2 to 16 bytes; they may overlap, so the size belongs to the key. */
static inline TextKey key_of(const uint8_t *data, size_t size) {
    if (size >= 8) return (TextKey){load(data, 8), load(data + size - 8, 8), size};
    if (size >= 4) return (TextKey){load(data, 4), load(data + size - 4, 4), size};
    return (TextKey){load(data, 2), data[size - 1], size};
}

static PyObject *remembered(TextMemory *memory, KeptText *kept, TextKey key, PyObject *text) {
    if (memory->trust > 0) memory->trust--;
    if (text != NULL && PyUnicode_IS_COMPACT_ASCII(text)) {
        PyObject *before = kept->text;
        Py_INCREF(text);
        kept->key = key;
        kept->text = text;
        Py_XDECREF(before);
    }
    return text;
}

PyObject *text_from(TextMemory *memory, const uint8_t *data, Py_ssize_t size) {
    if (size < 2 || size > 16 || (memory->trust == 0 && ++memory->passed % 32 != 0))
        return PyUnicode_DecodeUTF8((const char *)data, size, NULL);
    TextKey key = key_of(data, (size_t)size);
    uint64_t mixed = (key.first ^ key.last * UINT64_C(0x9E3779B97F4A7C15) ^ key.size) * UINT64_C(0xD6E8FEB86659FD93);
    KeptText *kept = &memory->kept[mixed >> 61];
    if (kept->key.first == key.first && kept->key.last == key.last && kept->key.size == key.size) {
        if (memory->trust < MOST_TRUST) memory->trust += 2;
        Py_INCREF(kept->text); /* a key with a size was stored together with its text */
        return kept->text;
    }
    return remembered(memory, kept, key, PyUnicode_DecodeUTF8((const char *)data, size, NULL));
}
