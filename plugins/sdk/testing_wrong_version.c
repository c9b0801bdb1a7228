/* A shared object of another interface version, for tests of the loader. */
#include "api/abi/address_picker.h"

static const portolan_address_picker kPicker = {.size = sizeof(portolan_address_picker),
                                                .abi_version = 99};

const portolan_address_picker* portolan_address_picker_v1(void) { return &kPicker; }
