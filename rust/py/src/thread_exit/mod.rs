//! Letting CPython end a thread that is inside of a callback.
//!
//! When the interpreter exits, CPython before 3.14 ends every other thread that asks for the GIL by
//! `pthread_exit`, which glibc does by unwinding the thread's stack. Rust aborts the process where it
//! would catch a panic, and every function called from Python does. So a daemon thread inside of a
//! key's `__eq__` would turn a clean exit into an abort.
//!
//! Here is a stub in front of each function that may run Python code. It has no unwind information:
//! the unwinder takes it for the end of the stack, and glibc then ends the thread at once. Nothing
//! of ours is dropped in that thread, which is what the end of the process wants. Panics never come
//! this way, since CPython's functions do not unwind. `build.rs` has the linker resolve the names to
//! the stubs (`--wrap`); other platforms end threads without unwinding.

macro_rules! stub {
    ($name:literal) => {
        #[cfg(target_arch = "x86_64")]
        std::arch::global_asm!(
            concat!(".globl __wrap_", $name),
            concat!(".hidden __wrap_", $name),
            concat!(".weak __real_", $name), // some are unused, depending on the version
            concat!(".type __wrap_", $name, ", @function"),
            concat!("__wrap_", $name, ":"),
            "sub rsp, 8",
            concat!("call __real_", $name, "@PLT"),
            "add rsp, 8",
            "ret",
        );
        #[cfg(target_arch = "aarch64")]
        std::arch::global_asm!(
            concat!(".globl __wrap_", $name),
            concat!(".hidden __wrap_", $name),
            concat!(".weak __real_", $name), // some are unused, depending on the version
            concat!(".type __wrap_", $name, ", %function"),
            concat!("__wrap_", $name, ":"),
            "stp x29, x30, [sp, #-16]!",
            "mov x29, sp",
            concat!("bl __real_", $name),
            "ldp x29, x30, [sp], #16",
            "ret",
        );
    };
}

stub!("PyBuffer_FromContiguous");
stub!("PyBuffer_Release");
stub!("PyBuffer_ToContiguous");
stub!("PyCapsule_Import");
stub!("PyDict_Clear");
stub!("PyDict_Copy");
stub!("PyDict_DelItem");
stub!("PyDict_GetItemWithError");
stub!("PyDict_New");
stub!("PyDict_SetItem");
stub!("PyDict_Update");
stub!("PyErr_CheckSignals");
stub!("PyErr_GivenExceptionMatches");
stub!("PyErr_NormalizeException");
stub!("PyErr_PrintEx");
stub!("PyErr_SetObject");
stub!("PyErr_SetString");
stub!("PyErr_WriteUnraisable");
stub!("PyEval_RestoreThread");
stub!("PyFloat_AsDouble");
stub!("PyFrozenSet_New");
stub!("PyGILState_Ensure");
stub!("PyImport_Import");
stub!("PyIter_Next");
stub!("PyList_Append");
stub!("PyList_New");
stub!("PyLong_AsLong");
stub!("PyMethod_New");
stub!("PyNumber_Add");
stub!("PyNumber_Index");
stub!("PyOS_FSPath");
stub!("PyObject_Call");
stub!("PyObject_CallNoArgs");
stub!("PyObject_ClearWeakRefs");
stub!("PyObject_DelItem");
stub!("PyObject_GenericGetAttr");
stub!("PyObject_GenericGetDict");
stub!("PyObject_GenericSetDict");
stub!("PyObject_GetAttr");
stub!("PyObject_GetBuffer");
stub!("PyObject_GetItem");
stub!("PyObject_GetIter");
stub!("PyObject_Hash");
stub!("PyObject_IsInstance");
stub!("PyObject_IsTrue");
stub!("PyObject_LengthHint");
stub!("PyObject_Repr");
stub!("PyObject_RichCompare");
stub!("PyObject_RichCompareBool");
stub!("PyObject_SetAttr");
stub!("PyObject_SetAttrString");
stub!("PyObject_SetItem");
stub!("PyObject_Size");
stub!("PyObject_Str");
stub!("PyObject_Vectorcall");
stub!("PyObject_VectorcallDict");
stub!("PyObject_VectorcallMethod");
stub!("PySequence_Contains");
stub!("PySequence_Index");
stub!("PySet_New");
stub!("PyTuple_New");
stub!("PyType_GenericAlloc");
stub!("Py_GenericAlias");
stub!("_PyObject_MakeTpCall");
stub!("_Py_Dealloc");
