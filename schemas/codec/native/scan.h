/* Looking into encoded records without making Python objects of them; the parts of the fast path share this. */
#ifndef ORDERSYNC_SCAN_H
#define ORDERSYNC_SCAN_H

#include "avro.h"

/* Where one field of a record stands, and its value. */
typedef struct {
    const uint8_t *at;    /* as written, union branch included */
    const uint8_t *value; /* without the branch */
    const uint8_t *end;
    const uint8_t *text; /* of a text or octets: without the length */
    Py_ssize_t size;     /* of `text` */
    i128 number;         /* of everything else; a decimal's unscaled value */
    bool is_null;
} Slot;

/* Rows of slots: one record has one row, a list as many as it has items. */
typedef struct {
    Slot *slots;
    Py_ssize_t width, rows, capacity;
} Frame;

/* How many slots the fields of `program` take: each its own, and those of the records within it. */
Py_ssize_t width_of(const Program *program);

/* Fill `slots` from the reader's record; the items of its one list of records go to `items` (NULL: it has none).
   False where the bytes are not plain: they are somebody else's to explain. No exception but MemoryError is set. */
bool scan_record(const Program *program, Reader *reader, Slot *slots, Frame *items);

/* Room for one more row, which is returned; NULL with MemoryError. */
Slot *add_row(Frame *frame);

static inline Slot *row_of(const Frame *frame, Py_ssize_t row) {
    return frame->slots + (frame->rows == 1 ? 0 : row) * frame->width;
}

/* ---- conditions ---- */

enum Operation {
    TRUTH_CONSTANT,
    TRUTH_SLOT,
    AND,
    OR,
    NOT,
    EQUAL,
    BELOW,
    AT_MOST,
    SAME_TEXT,
    AMONG,
    MATCHES,
    IS_NULL,
    UNIQUE,
    WHOLE,
    NUMBER_CONSTANT,
    NUMBER_SLOT,
    ADD,
    SUBTRACT,
    MULTIPLY,
    TOTAL,
    COUNT,
    LOOKED_UP,
    TEXT_CONSTANT,
    TEXT_SLOT,
    TEXT_BEFORE,
    OPERATIONS
};

/* A short text and the number that it stands for. */
typedef struct {
    uint64_t first, last;
    Py_ssize_t size;
    int64_t number;
} Entry;

/* One node of an expression; `left` and `right` are numbers of earlier nodes. */
typedef struct {
    enum Operation operation;
    int left, right, scope, slot;
    i128 number;
    PyObject *text;   /* bytes */
    Entry *entries;   /* sorted */
    Py_ssize_t count; /* of entries */
    Py_ssize_t recent; /* the entry that was found last */
    uint32_t allowed[8];
    int least, most;
} Node;

#define SCOPES 8

/* What an evaluation looks at: the frames of all scopes, and which row of those that have many. */
typedef struct {
    Node *nodes;
    const Frame *frames;
    Py_ssize_t row;
    bool is_unknown; /* something was null, or too big: the answer counts for nothing */
} Evaluation;

bool holds(Evaluation *evaluation, int node);
i128 number_of(Evaluation *evaluation, int node);

bool set_node(Node *node, PyObject *declared, Py_ssize_t number);
void clear_node(Node *node);

extern PyTypeObject FastPathType;

#endif
