/* SPDX-License-Identifier: Apache-2.0 */
/* cli/doctor_libraries.c - with which libraries does this binary run? */
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <zmq.h>

#include "cli/doctor.h"

/* The first that makes a connection without an answer of the ZAP handler fail. */
enum { ZMQ_NEEDED = 40304 };

void
doctor_check_libraries(struct doctor *doctor)
{
    int major, minor, patch;
    zmq_version(&major, &minor, &patch);
    int version = ZMQ_MAKE_VERSION(major, minor, patch);
    if (!zmq_has("curve"))
        doctor_add(doctor, FINDING_ERROR, "libzmq", "install Debian's libzmq5",
                   "was built without CURVE: nobody can connect");
    if (version < ZMQ_NEEDED || version / 10000 != ZMQ_VERSION / 10000)
        doctor_add(doctor, FINDING_ERROR, "libzmq", "install Debian's libzmq5",
                   "is %d.%d.%d; this binary was built for %d.%d.%d", major, minor, patch,
                   ZMQ_VERSION_MAJOR, ZMQ_VERSION_MINOR, ZMQ_VERSION_PATCH);
    if (sodium_library_version_major() < SODIUM_LIBRARY_VERSION_MAJOR)
        doctor_add(doctor, FINDING_ERROR, "libsodium", "install Debian's libsodium23",
                   "%s is older than what this binary was built for (%s)", sodium_version_string(),
                   SODIUM_VERSION_STRING);
    if (findings_of(&doctor->findings, "libraries") == 0)
        doctor_add(doctor, FINDING_OK, "", "", "sos %s, libzmq %d.%d.%d, libsodium %s, jansson %s",
                   SOS_VERSION, major, minor, patch, sodium_version_string(),
                   jansson_version_str());
}
