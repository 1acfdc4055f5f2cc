/* The extension module `_capture`. */
#include "capture.h"
#include <structmember.h>

#define REVISION 2 /* as EXTENSION_REVISION in producers/cdc/native/__init__.py */

Names names;

bool find_slot(PyTypeObject *type, const char *name, Py_ssize_t *offset) {
    PyObject *descriptor = PyObject_GetAttrString((PyObject *)type, name);
    if (descriptor == NULL) return false;
    bool is_member = Py_TYPE(descriptor) == &PyMemberDescr_Type;
    if (is_member) {
        PyMemberDef *member = ((PyMemberDescrObject *)descriptor)->d_member;
        is_member = member->type == T_OBJECT_EX &&
                    PyType_IsSubtype(type, ((PyMemberDescrObject *)descriptor)->d_common.d_type);
        *offset = member->offset;
    }
    if (!is_member) PyErr_Format(PyExc_TypeError, "%s.%s is no slot", type->tp_name, name);
    Py_DECREF(descriptor);
    return is_member;
}

static PyObject *taken(const char *module_name, const char *name) {
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module == NULL ? NULL : PyObject_GetAttrString(module, name);
    Py_XDECREF(module);
    return found;
}

static PyObject *member(PyObject *enumeration, const char *name) {
    PyObject *found = enumeration == NULL ? NULL : PyObject_GetAttrString(enumeration, name);
    return found;
}

static bool take_names(void) {
    const char *changes = "producers.cdc.changes";
    PyObject *kinds = taken(changes, "ChangeKind"), *identities = taken(changes, "ReplicaIdentity");
    names.unchanged = taken(changes, "UNCHANGED");
    names.row_change = (PyTypeObject *)taken(changes, "RowChange");
    names.source_transaction = (PyTypeObject *)taken(changes, "SourceTransaction");
    names.insert = member(kinds, "INSERT");
    names.update = member(kinds, "UPDATE");
    names.delete_ = member(kinds, "DELETE");
    names.full = member(identities, "FULL");
    names.invalid_message = taken("schemas.errors", "InvalidMessage");
    Py_XDECREF(kinds);
    Py_XDECREF(identities);
    return names.unchanged && names.row_change && names.source_transaction && names.insert && names.update &&
           names.delete_ && names.full && names.invalid_message;
}

static PyMethodDef functions[] = {
    {"feed", (PyCFunction)(void (*)(void))wire_feed, METH_FASTCALL,
     "feed(assembler, relations, messages, at, max_changes): apply pgoutput messages."},
    {"drain", (PyCFunction)(void (*)(void))wire_drain, METH_FASTCALL,
     "drain(get, free, connection, messages, most): take what libpq has received."},
    {"copied", (PyCFunction)(void (*)(void))copying_rows, METH_FASTCALL,
     "copied(get, free, connection, rows, count): take the rows that libpq has received of a COPY."},
    {"kept", (PyCFunction)rows_kept, METH_O, "kept(values): the row of these values."},
    {NULL},
};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_capture",
    .m_doc = "The hot path of the capture: pgoutput, kept rows, Avro sections, events.",
    .m_size = -1,
    .m_methods = functions,
};

PyMODINIT_FUNC PyInit__capture(void) {
    PyTypeObject *types[] = {&SentRowType, &AssemblyType, &SectionType, &EventWriterType, &TallyType, &DeliveryType};
    const char *type_names[] = {"SentRow", "Assembly", "Section", "EventWriter", "Tally", "Delivery"};
    if (!take_names() || !wire_prepare()) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL || PyModule_AddIntConstant(module, "REVISION", REVISION) < 0) {
        Py_XDECREF(module);
        return NULL;
    }
    for (size_t index = 0; index < sizeof types / sizeof *types; index++)
        if (PyType_Ready(types[index]) < 0 ||
            PyModule_AddObjectRef(module, type_names[index], (PyObject *)types[index]) < 0) {
            Py_DECREF(module);
            return NULL;
        }
    return module;
}
