/* Counts Kafka's answers; the reference is `producers.cdc.deliveries`. */
#include "capture.h"
#include <math.h>
#include <structmember.h>
#include <time.h>

/* How long events of one stage took, in buckets. */
typedef struct {
    PyObject_HEAD
    Py_ssize_t count;
    double *bounds;
    unsigned long long *counts; /* one more than the bounds */
    double sum;
} Tally;

/* The callback of the events of one source transaction. */
typedef struct {
    PyObject_HEAD
    Tally *tally;
    PyObject *failed; /* called with (error, message) */
    double committed;
    PyObject *checkpoint; /* whose `outstanding` is counted down */
    vectorcallfunc call;
} Delivery;

static Py_ssize_t outstanding_at = -1;
static PyTypeObject *checkpoint_type;

static double now(void) {
    struct timespec at;
    clock_gettime(CLOCK_REALTIME, &at);
    return (double)at.tv_sec + 1e-9 * (double)at.tv_nsec;
}

static void observe(Tally *tally, double seconds) {
    if (seconds < 0) seconds = 0;
    Py_ssize_t bucket = 0;
    while (bucket < tally->count && seconds > tally->bounds[bucket]) bucket++;
    tally->counts[bucket]++;
    tally->sum += seconds;
}

static bool count_down(PyObject *checkpoint) {
    PyObject **held = slot(checkpoint, outstanding_at);
    long long left = *held == NULL ? -1 : PyLong_AsLongLong(*held);
    if (left == -1 && PyErr_Occurred()) return false;
    PyObject *fewer = PyLong_FromLongLong(left - 1);
    if (fewer == NULL) return false;
    Py_XSETREF(*held, fewer);
    return true;
}

static PyObject *delivery_call(PyObject *given, PyObject *const *args, size_t flags, PyObject *keywords) {
    Delivery *self = (Delivery *)given;
    if (PyVectorcall_NARGS(flags) != 2) {
        PyErr_SetString(PyExc_TypeError, "an answer has an error and a message");
        return NULL;
    }
    if (args[0] != Py_None) return PyObject_Vectorcall(self->failed, args, 2, NULL);
    if (!isnan(self->committed)) observe(self->tally, now() - self->committed);
    if (!count_down(self->checkpoint)) return NULL;
    Py_RETURN_NONE;
}

static PyObject *delivery_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *tally, *failed, *checkpoint;
    double committed;
    if (!PyArg_ParseTuple(args, "O!OOd", &TallyType, &tally, &failed, &checkpoint, &committed)) return NULL;
    if (Py_TYPE(checkpoint) != checkpoint_type) {
        Py_ssize_t offset;
        if (!find_slot(Py_TYPE(checkpoint), "outstanding", &offset)) return NULL;
        outstanding_at = offset;
        Py_XDECREF((PyObject *)checkpoint_type);
        checkpoint_type = (PyTypeObject *)Py_NewRef((PyObject *)Py_TYPE(checkpoint));
    }
    Delivery *self = (Delivery *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->tally = (Tally *)Py_NewRef(tally);
    self->failed = Py_NewRef(failed);
    self->checkpoint = Py_NewRef(checkpoint);
    self->committed = committed;
    self->call = delivery_call;
    return (PyObject *)self;
}

static void delivery_free(Delivery *self) {
    Py_XDECREF(self->tally);
    Py_XDECREF(self->failed);
    Py_XDECREF(self->checkpoint);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

PyTypeObject DeliveryType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_capture.Delivery",
    .tp_doc = "Delivery(tally, failed, checkpoint, committed): takes Kafka's answers to the events of one transaction.",
    .tp_basicsize = sizeof(Delivery),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_VECTORCALL,
    .tp_vectorcall_offset = offsetof(Delivery, call),
    .tp_call = PyVectorcall_Call,
    .tp_new = delivery_new,
    .tp_dealloc = (destructor)delivery_free,
};

static PyObject *tally_snapshot(Tally *self, PyObject *nothing) {
    PyObject *counts = PyList_New(self->count + 1);
    for (Py_ssize_t index = 0; counts != NULL && index <= self->count; index++) {
        PyObject *count = PyLong_FromUnsignedLongLong(self->counts[index]);
        if (count == NULL) Py_CLEAR(counts);
        else PyList_SET_ITEM(counts, index, count);
    }
    return counts == NULL ? NULL : Py_BuildValue("(Nd)", counts, self->sum);
}

static PyObject *tally_observe(Tally *self, PyObject *given) {
    double seconds = PyFloat_AsDouble(given);
    if (seconds == -1 && PyErr_Occurred()) return NULL;
    observe(self, seconds);
    Py_RETURN_NONE;
}

static PyObject *tally_new(PyTypeObject *type, PyObject *args, PyObject *keywords) {
    PyObject *bounds;
    if (!PyArg_ParseTuple(args, "O!", &PyTuple_Type, &bounds)) return NULL;
    Tally *self = (Tally *)type->tp_alloc(type, 0);
    if (self == NULL) return NULL;
    self->count = PyTuple_GET_SIZE(bounds);
    self->bounds = PyMem_Calloc((size_t)self->count + 1, sizeof(double));
    self->counts = PyMem_Calloc((size_t)self->count + 1, sizeof(unsigned long long));
    bool is_fine = self->bounds != NULL && self->counts != NULL;
    for (Py_ssize_t index = 0; is_fine && index < self->count; index++) {
        self->bounds[index] = PyFloat_AsDouble(PyTuple_GET_ITEM(bounds, index));
        is_fine = !PyErr_Occurred();
    }
    if (is_fine) return (PyObject *)self;
    if (!PyErr_Occurred()) PyErr_NoMemory();
    Py_DECREF(self);
    return NULL;
}

static void tally_free(Tally *self) {
    PyMem_Free(self->bounds);
    PyMem_Free(self->counts);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMethodDef tally_methods[] = {
    {"snapshot", (PyCFunction)tally_snapshot, METH_NOARGS, "Counts of the buckets, the last without bound; the sum."},
    {"observe", (PyCFunction)tally_observe, METH_O, "Count one duration in seconds."},
    {NULL},
};

PyTypeObject TallyType = {
    PyVarObject_HEAD_INIT(NULL, 0)
    .tp_name = "_capture.Tally",
    .tp_doc = "Tally(bounds): how many events took how long.",
    .tp_basicsize = sizeof(Tally),
    .tp_flags = Py_TPFLAGS_DEFAULT,
    .tp_new = tally_new,
    .tp_dealloc = (destructor)tally_free,
    .tp_methods = tally_methods,
};
