/* Finds the fields of a record in its bytes. What `reading.c` would refuse is not plain here. */
#include "scan.h"

#define DAY_MICROS INT64_C(86400000000)

Py_ssize_t width_of(const Program *program) {
    Py_ssize_t width = 0;
    for (Py_ssize_t index = 0; index < program->count; index++) {
        const Op *op = &program->ops[index];
        width += 1 + (op->kind == RECORD && !op->is_list ? width_of(op->record) : 0);
    }
    return width;
}

Slot *add_row(Frame *frame) {
    if (frame->rows == frame->capacity) {
        Py_ssize_t capacity = frame->capacity ? frame->capacity * 2 : 4;
        Slot *slots = PyMem_Realloc(frame->slots, (size_t)(capacity * frame->width) * sizeof(Slot));
        if (slots == NULL) {
            PyErr_NoMemory();
            return NULL;
        }
        frame->slots = slots;
        frame->capacity = capacity;
    }
    return frame->slots + frame->width * frame->rows++;
}

static bool is_utf8(const uint8_t *text, Py_ssize_t size) {
    Py_ssize_t index = 0;
    for (; index + 8 <= size; index += 8) {
        uint64_t eight;
        memcpy(&eight, text + index, 8);
        if (eight & UINT64_C(0x8080808080808080)) break;
    }
    while (index < size && text[index] < 128) index++;
    if (index == size) return true;
    PyObject *decoded = PyUnicode_DecodeUTF8((const char *)text, size, NULL);
    if (decoded == NULL) PyErr_Clear();
    Py_XDECREF(decoded);
    return decoded != NULL;
}

/* Numbers are copied as they stand, so one that is written longer than need be is left to those who write it anew. */
static inline bool read_shortest(Reader *reader, uint64_t *value) {
    const uint8_t *from = reader->at;
    return read_unsigned(reader, value) && (reader->at - from == 1 || reader->at[-1] != 0);
}

static inline bool scan_octets(const Op *op, Reader *reader, Slot *slot) {
    uint64_t raw;
    if (!read_shortest(reader, &raw) || (raw & 1) || raw >> 1 > (uint64_t)(reader->end - reader->at)) return false;
    slot->text = reader->at;
    slot->size = (Py_ssize_t)(raw >> 1);
    reader->at += slot->size;
    return op->kind != TEXT || is_utf8(slot->text, slot->size);
}

static inline bool scan_decimal(const Op *op, Reader *reader, Slot *slot) {
    if (!scan_octets(op, reader, slot) || slot->size == 0 || slot->size > 16) return false;
    u128 value = slot->text[0] >= 128 ? ~(u128)0 : 0;
    for (Py_ssize_t index = 0; index < slot->size; index++) value = value << 8 | slot->text[index];
    slot->number = (i128)value;
    return (slot->number < 0 ? 0 - value : value) < op->limit;
}

static inline bool scan_scalar(const Op *op, Reader *reader, Slot *slot) {
    uint64_t raw;
    switch (op->kind) {
    case TEXT:
    case OCTETS:
        return scan_octets(op, reader, slot);
    case DECIMAL:
        return scan_decimal(op, reader, slot);
    case BOOLEAN:
        if (reader->at >= reader->end || *reader->at > 1) return false;
        slot->number = *reader->at++;
        return true;
    default:
        if (!read_shortest(reader, &raw)) return false;
        slot->number = (int64_t)((raw >> 1) ^ (0 - (raw & 1)));
        if (op->kind == INSTANT)
            return slot->number >= FIRST_DAY * DAY_MICROS && slot->number < (LAST_DAY + 1) * DAY_MICROS;
        return op->kind == LONG || (slot->number >= FIRST_DAY && slot->number <= LAST_DAY);
    }
}

static bool scan_fields(const Program *program, Reader *reader, Slot *slots, Frame *items);

static bool scan_items(const Op *op, Reader *reader, Frame *items) {
    for (;;) {
        int64_t count, size;
        if (!read_long(reader, &count) || count == INT64_MIN || (count < 0 && !read_long(reader, &size))) return false;
        if (count == 0) return true;
        if (count < 0) count = -count;
        if (count > reader->end - reader->at) return false;
        for (; count > 0; count--) {
            Slot *row = add_row(items);
            if (row == NULL || !scan_fields(op->record, reader, row, NULL)) return false;
        }
    }
}

static void set_null(const Program *program, Slot *slots) {
    Py_ssize_t width = width_of(program);
    for (Py_ssize_t index = 0; index < width; index++) slots[index].is_null = true;
}

static inline bool scan_value(const Op *op, Reader *reader, Slot *slot, Frame *items) {
    if (op->is_list) return items != NULL && op->kind == RECORD && scan_items(op, reader, items);
    return op->kind == RECORD ? scan_fields(op->record, reader, slot + 1, items) : scan_scalar(op, reader, slot);
}

static bool scan_fields(const Program *program, Reader *reader, Slot *slots, Frame *items) {
    for (Py_ssize_t index = 0; index < program->count; index++) {
        const Op *op = &program->ops[index];
        bool is_record = op->kind == RECORD && !op->is_list;
        slots->at = slots->value = reader->at;
        slots->is_null = false;
        if (op->is_optional) {
            if (reader->at >= reader->end || (*reader->at != 0 && *reader->at != 2)) return false;
            slots->is_null = *reader->at++ == 0;
            slots->value = reader->at;
            if (slots->is_null && is_record) set_null(op->record, slots + 1);
        }
        if (!slots->is_null && !scan_value(op, reader, slots, items)) return false;
        slots->end = reader->at;
        slots += 1 + (is_record ? width_of(op->record) : 0);
    }
    return true;
}

bool scan_record(const Program *program, Reader *reader, Slot *slots, Frame *items) {
    return scan_fields(program, reader, slots, items) && reader->at == reader->end;
}
