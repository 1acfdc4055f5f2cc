/* Single attributes of a record; see sections.h. */
#include "sections.h"

enum Outcome put_column(Buffer *out, const Field *field, Value value, i128 *sums, bool *are_summed) {
    enum Held held = field->part.held;
    int64_t number;
    i128 unscaled;
    int scale;
    switch (field->taken) {
    case TEXT: {
        enum Outcome outcome = text_of(&value, held);
        return outcome == DONE ? fine(put_octets(out, value.at, value.size)) : outcome;
    }
    case DECIMAL:
        if ((held != INTEGER && held != NUMERIC) || !number_of(&value, &unscaled, &scale) ||
            !rescaled(&unscaled, scale, field->scale, field->limit))
            return UNFIT;
        if (field->summed >= 0) {
            sums[field->summed] += unscaled;
            i128 sum = sums[field->summed];
            /* Python's decimals keep 28 digits: beyond them its sums are rounded. */
            if (sum >= (i128)powers_of_ten[27] || sum <= -(i128)powers_of_ten[27]) are_summed[field->summed] = false;
        }
        return fine(put_decimal(out, unscaled));
    case LONG:
        if (held != INTEGER || !integer_of(&value, &number)) return UNFIT;
        break;
    case DAY:
        if (held != DATE || !day_of(&value, &number)) return UNFIT;
        break;
    case INSTANT:
        if (held != MOMENT || !moment_of(&value, &number)) return UNFIT;
        break;
    case BOOLEAN:
        if (held != TRUTH || value.size != 1 || (value.at[0] != 't' && value.at[0] != 'f')) return UNFIT;
        if (!room(out, 1)) return FAILED;
        *out->at++ = value.at[0] == 't';
        return DONE;
    default:
        return UNFIT;
    }
    if (!room(out, 10)) return FAILED;
    put_long(out, number);
    return DONE;
}

enum Outcome concatenated(Buffer *out, const Field *field, const Scope *scope, bool *is_null) {
    *is_null = false;
    for (uint32_t index = 0; index < field->count; index++) {
        const Part *part = &field->parts[index];
        if (part->text != NULL) {
            if (!put_raw(out, PyBytes_AS_STRING(part->text), (size_t)PyBytes_GET_SIZE(part->text))) return FAILED;
            continue;
        }
        Value value = value_at(scope, part);
        if (value.size == SIZE_NULL) {
            *is_null = true;
            return DONE;
        }
        if (!is_sent(&value)) return UNFIT;
        enum Outcome outcome = text_of(&value, part->held);
        if (outcome != DONE) return outcome;
        if (!put_raw(out, value.at, value.size)) return FAILED;
    }
    return DONE;
}

enum Outcome put_null(Buffer *out, const Field *field) {
    if (!field->is_optional) return UNFIT;
    if (!room(out, 1)) return FAILED;
    *out->at++ = 0;
    return DONE;
}

enum Outcome put_branch(Buffer *out, const Field *field) {
    if (!field->is_optional) return DONE;
    if (!room(out, 1)) return FAILED;
    *out->at++ = 2;
    return DONE;
}

enum Outcome put_concat(Buffer *out, const Field *field, const Scope *scope) {
    Buffer text;
    open_buffer(&text);
    bool is_null;
    enum Outcome outcome = concatenated(&text, field, scope, &is_null);
    if (outcome == DONE && is_null) {
        outcome = put_null(out, field);
    } else if (outcome == DONE && (outcome = put_branch(out, field)) == DONE) {
        outcome = fine(put_octets(out, text.start, (size_t)(text.at - text.start)));
    }
    close_buffer(&text);
    return outcome;
}

enum Outcome put_lookup(Buffer *out, const Field *field, const Scope *scope) {
    Value value = value_at(scope, &field->part);
    if (value.size == SIZE_NULL) return put_null(out, field);
    if (!is_sent(&value)) return UNFIT;
    enum Outcome outcome = text_of(&value, field->part.held);
    if (outcome != DONE) return outcome;
    PyObject *key = PyBytes_FromStringAndSize((const char *)value.at, value.size);
    PyObject *found = key == NULL ? NULL : PyDict_GetItemWithError(field->literal, key);
    Py_XDECREF(key);
    if (found == NULL) return PyErr_Occurred() ? FAILED : UNFIT;
    return fine(put_raw(out, PyBytes_AS_STRING(found), (size_t)PyBytes_GET_SIZE(found)));
}
