/* SPDX-License-Identifier: MIT */
/* From the core back into Python: signals and progress. */
#include "binding.h"

static int
poll_python(void *data, double done)
{
    PyGILState_STATE gil = PyGILState_Ensure();
    PyObject *progress = data;
    int stop = PyErr_CheckSignals() < 0;

    if (!stop && progress != Py_None) {
        PyObject *result = PyObject_CallFunction(progress, "d", done);
        stop = result == NULL;
        Py_XDECREF(result);
    }
    PyGILState_Release(gil);
    return stop;
}

void
rtl_callbacks_monitor(rtl_monitor_t *monitor, PyObject *progress)
{
    monitor->poll = poll_python;
    monitor->data = progress;
    monitor->next = 0.0;
}
