/* Evaluates conditions on scanned records. What is null or too big makes the whole answer unknown, never wrong. */
#include "scan.h"

#define HALF (((i128)1) << 63)
#define MOST ((i128)(~(u128)0 >> 1))

static inline const Slot *slot_of(const Evaluation *evaluation, const Node *node) {
    return row_of(&evaluation->frames[node->scope], evaluation->row) + node->slot;
}

static i128 unknown(Evaluation *evaluation) {
    evaluation->is_unknown = true;
    return 0;
}

static i128 product(Evaluation *evaluation, i128 left, i128 right) {
    if (left > -HALF && left < HALF && right > -HALF && right < HALF) return left * right;
    if (left == 0 || right == 0) return 0;
    if (left == -MOST - 1 || right == -MOST - 1) return unknown(evaluation);
    i128 most = MOST / (right < 0 ? -right : right);
    return (left < 0 ? -left : left) > most ? unknown(evaluation) : left * right;
}

/* Sums are of numbers below 2 ** 126, so that one addition cannot overflow. */
static i128 sum(Evaluation *evaluation, i128 left, i128 right) {
    const i128 bound = MOST / 2;
    if (left > bound || left < -bound || right > bound || right < -bound) return unknown(evaluation);
    return left + right;
}

typedef struct {
    const uint8_t *at;
    Py_ssize_t size;
} Text;

static Text text(Evaluation *evaluation, int number) {
    const Node *node = &evaluation->nodes[number];
    if (node->operation == TEXT_CONSTANT)
        return (Text){(const uint8_t *)PyBytes_AS_STRING(node->text), PyBytes_GET_SIZE(node->text)};
    if (node->operation == TEXT_BEFORE) {
        Text whole = text(evaluation, node->left);
        const uint8_t *end = whole.size ? memchr(whole.at, (int)node->number, (size_t)whole.size) : NULL;
        return end == NULL ? whole : (Text){whole.at, end - whole.at};
    }
    const Slot *slot = slot_of(evaluation, node);
    if (slot->is_null) {
        unknown(evaluation);
        return (Text){(const uint8_t *)"", 0};
    }
    return (Text){slot->text, slot->size};
}

static bool same(Text left, Text right) {
    return left.size == right.size && memcmp(left.at, right.at, (size_t)left.size) == 0;
}

static Entry entry_of(const uint8_t *at, Py_ssize_t size) {
    Entry entry = {0, 0, size, 0};
    memcpy(&entry.first, at, (size_t)(size < 8 ? size : 8));
    if (size > 8) memcpy(&entry.last, at + 8, (size_t)(size - 8));
    return entry;
}

static int compared(const void *left, const void *right) {
    const Entry *one = left, *other = right;
    if (one->size != other->size) return one->size < other->size ? -1 : 1;
    if (one->first != other->first) return one->first < other->first ? -1 : 1;
    return one->last == other->last ? 0 : one->last < other->last ? -1 : 1;
}

static const Entry *found(Node *node, Text wanted) {
    if (wanted.size > 16) return NULL;
    Entry entry = entry_of(wanted.at, wanted.size);
    /* Most records say what the record before them said. */
    if (node->count > 0 && compared(&entry, &node->entries[node->recent]) == 0) return &node->entries[node->recent];
    const Entry *among = bsearch(&entry, node->entries, (size_t)node->count, sizeof(Entry), compared);
    if (among != NULL) node->recent = among - node->entries;
    return among;
}

static bool matches(const Node *node, Text text) {
    if (text.size < node->least || text.size > node->most) return false;
    for (Py_ssize_t index = 0; index < text.size; index++)
        if (!(node->allowed[text.at[index] >> 5] >> (text.at[index] & 31) & 1)) return false;
    return true;
}

static bool is_unique(Evaluation *evaluation, const Node *node) {
    const Frame *frame = &evaluation->frames[evaluation->nodes[node->left].scope];
    Py_ssize_t before = evaluation->row;
    bool is_unique = frame->rows <= 256; /* compared each with each */
    if (!is_unique) unknown(evaluation);
    for (Py_ssize_t one = 1; is_unique && one < frame->rows; one++) {
        evaluation->row = one;
        Text text_of_one = text(evaluation, node->left);
        for (Py_ssize_t other = 0; is_unique && other < one; other++) {
            evaluation->row = other;
            is_unique = !same(text_of_one, text(evaluation, node->left));
        }
    }
    evaluation->row = before;
    return is_unique;
}

static i128 calculated(Evaluation *evaluation, Node *node);

/* Most numbers are fields and constants, which are not worth a call. */
static inline i128 number(Evaluation *evaluation, int index) {
    Node *node = &evaluation->nodes[index];
    if (node->operation == NUMBER_CONSTANT) return node->number;
    if (node->operation != NUMBER_SLOT) return calculated(evaluation, node);
    const Slot *slot = slot_of(evaluation, node);
    return slot->is_null ? unknown(evaluation) : slot->number;
}

i128 number_of(Evaluation *evaluation, int index) {
    return number(evaluation, index);
}

static i128 total(Evaluation *evaluation, const Node *node) {
    Py_ssize_t before = evaluation->row;
    i128 result = 0;
    for (Py_ssize_t row = 0; row < evaluation->frames[node->scope].rows; row++) {
        evaluation->row = row;
        result = sum(evaluation, result, number(evaluation, node->left));
    }
    evaluation->row = before;
    return result;
}

static i128 calculated(Evaluation *evaluation, Node *node) {
    const Entry *entry;
    switch (node->operation) {
    case ADD:
        return sum(evaluation, number(evaluation, node->left), number(evaluation, node->right));
    case SUBTRACT:
        return sum(evaluation, number(evaluation, node->left), -number(evaluation, node->right));
    case MULTIPLY:
        return product(evaluation, number(evaluation, node->left), number(evaluation, node->right));
    case TOTAL:
        return total(evaluation, node);
    case COUNT:
        return evaluation->frames[node->scope].rows;
    default: /* LOOKED_UP */
        entry = found(node, text(evaluation, node->left));
        return entry == NULL ? unknown(evaluation) : entry->number;
    }
}

bool holds(Evaluation *evaluation, int index) {
    Node *node = &evaluation->nodes[index];
    if (evaluation->is_unknown) return false;
    switch (node->operation) {
    case TRUTH_CONSTANT:
        return node->number != 0;
    case TRUTH_SLOT:
        return number(evaluation, node->left) != 0;
    case AND:
        return holds(evaluation, node->left) && holds(evaluation, node->right);
    case OR:
        return holds(evaluation, node->left) || holds(evaluation, node->right);
    case NOT:
        return !holds(evaluation, node->left);
    case EQUAL:
        return number(evaluation, node->left) == number(evaluation, node->right);
    case BELOW:
        return number(evaluation, node->left) < number(evaluation, node->right);
    case AT_MOST:
        return number(evaluation, node->left) <= number(evaluation, node->right);
    case SAME_TEXT:
        return same(text(evaluation, node->left), text(evaluation, node->right));
    case AMONG:
        return found(node, text(evaluation, node->left)) != NULL;
    case MATCHES:
        return matches(node, text(evaluation, node->left));
    case IS_NULL:
        return slot_of(evaluation, node)->is_null;
    case UNIQUE:
        return is_unique(evaluation, node);
    default: { /* WHOLE */
        i128 divisor = number(evaluation, node->right), value = number(evaluation, node->left);
        if (divisor <= 0) return false;
        /* A division of 64 bits takes a tenth of the time of one of 128. */
        return (int64_t)value == value ? (int64_t)value % (int64_t)divisor == 0 : value % divisor == 0;
    }
    }
}

/* ---- construction ---- */

static bool set_number(Node *node, PyObject *value) {
    return _PyLong_AsByteArray((PyLongObject *)value, (unsigned char *)&node->number, sizeof node->number, 1, 1) == 0;
}

static bool set_entries(Node *node, PyObject *numbers) {
    PyObject *key, *value;
    Py_ssize_t position = 0;
    node->entries = PyMem_Calloc((size_t)PyDict_GET_SIZE(numbers) + 1, sizeof(Entry));
    if (node->entries == NULL) {
        PyErr_NoMemory();
        return false;
    }
    while (PyDict_Next(numbers, &position, &key, &value)) {
        if (!PyBytes_Check(key) || PyBytes_GET_SIZE(key) > 16) {
            PyErr_Format(PyExc_ValueError, "%R: texts of a set are bytes, at most 16", key);
            return false;
        }
        Entry *entry = &node->entries[node->count++];
        *entry = entry_of((const uint8_t *)PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key));
        entry->number = PyLong_AsLongLong(value);
        if (entry->number == -1 && PyErr_Occurred()) return false;
    }
    qsort(node->entries, (size_t)node->count, sizeof(Entry), compared);
    return true;
}

bool set_node(Node *node, PyObject *declared, Py_ssize_t number) {
    int operation;
    PyObject *value, *numbers;
    if (!PyTuple_Check(declared)) {
        PyErr_SetString(PyExc_TypeError, "a node is a tuple");
        return false;
    }
    if (!PyArg_ParseTuple(declared, "iiiiiO!SO!ii", &operation, &node->left, &node->right, &node->scope, &node->slot,
                          &PyLong_Type, &value, &node->text, &PyDict_Type, &numbers, &node->least, &node->most)) {
        node->text = NULL;
        return false;
    }
    Py_INCREF(node->text);
    if (operation < 0 || operation >= OPERATIONS || node->left < -1 || node->left >= number || node->right < -1 ||
        node->right >= number || node->scope < 0 || node->scope >= SCOPES || node->slot < 0) {
        PyErr_Format(PyExc_ValueError, "%R is no node", declared);
        return false;
    }
    node->operation = (enum Operation)operation;
    if (operation == MATCHES)
        for (Py_ssize_t index = 0; index < PyBytes_GET_SIZE(node->text); index++) {
            uint8_t allowed = (uint8_t)PyBytes_AS_STRING(node->text)[index];
            node->allowed[allowed >> 5] |= UINT32_C(1) << (allowed & 31);
        }
    return set_number(node, value) && set_entries(node, numbers);
}

void clear_node(Node *node) {
    Py_XDECREF(node->text);
    PyMem_Free(node->entries);
}
