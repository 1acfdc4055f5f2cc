/* The extension module `_avro`. */
#include "scan.h"

#define REVISION 2 /* as EXTENSION_REVISION in schemas/codec/native/programs.py */

Scalars scalars;

static bool take_scalars(void) {
    PyObject *module = PyImport_ImportModule("schemas.codec.scalars");
    if (module == NULL) return false;
    scalars.malformed = PyObject_GetAttrString(module, "malformed");
    scalars.refuse = PyObject_GetAttrString(module, "refuse");
    scalars.decimal_from_bytes = PyObject_GetAttrString(module, "decimal_from_bytes");
    scalars.decimal_to_bytes = PyObject_GetAttrString(module, "decimal_to_bytes");
    scalars.datetime_to_micros = PyObject_GetAttrString(module, "datetime_to_micros");
    Py_DECREF(module);
    return scalars.malformed && scalars.refuse && scalars.decimal_from_bytes && scalars.decimal_to_bytes &&
           scalars.datetime_to_micros;
}

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT,
    .m_name = "_avro",
    .m_doc = "Avro bytes to canonical models and back, driven by a program made from the model's fields.",
    .m_size = -1,
};

PyMODINIT_FUNC PyInit__avro(void) {
    if (!take_scalars() || !times_prepare()) return NULL;
    int knows_decimals = decimals_prepare();
    if (knows_decimals < 0 || PyType_Ready(&ProgramType) < 0 || PyType_Ready(&FastPathType) < 0) return NULL;
    PyObject *module = PyModule_Create(&definition);
    if (module == NULL) return NULL;
    if (PyModule_AddObjectRef(module, "Program", (PyObject *)&ProgramType) < 0 ||
        PyModule_AddObjectRef(module, "FastPath", (PyObject *)&FastPathType) < 0 ||
        PyModule_AddObjectRef(module, "KNOWS_DECIMALS", knows_decimals ? Py_True : Py_False) < 0 ||
        PyModule_AddIntConstant(module, "REVISION", REVISION) < 0 ||
        PyModule_AddIntMacro(module, RECORD) < 0 || PyModule_AddIntMacro(module, BOOLEAN) < 0 ||
        PyModule_AddIntMacro(module, LONG) < 0 || PyModule_AddIntMacro(module, INSTANT) < 0 ||
        PyModule_AddIntMacro(module, DAY) < 0 || PyModule_AddIntMacro(module, TEXT) < 0 ||
        PyModule_AddIntMacro(module, OCTETS) < 0 || PyModule_AddIntMacro(module, DECIMAL) < 0) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
