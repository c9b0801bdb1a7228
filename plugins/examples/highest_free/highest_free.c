/* Example of an address picker in a shared object: the highest free address of the pool.
 *
 * Build it with Bazel (//plugins/examples/highest_free:highest_free.so) or by hand:
 *   cc -shared -fPIC -I REPOSITORY -o highest_free.so highest_free.c
 * It has no settings.
 */
#include <stdio.h>
#include <string.h>

#include "api/abi/address_picker.h"

/* A stage without settings needs no memory: any address that is not NULL will do. */
static char the_stage;

static void* Create(const char* settings, char* error, size_t error_size) {
  if (strcmp(settings, "") != 0 && strcmp(settings, "{}") != 0) {
    snprintf(error, error_size, "settings: highest-free has none");
    return NULL;
  }
  return &the_stage;
}

static void Destroy(void* stage) { (void)stage; }

static int32_t Pick(const void* stage, const portolan_pick_request* request,
                    portolan_pick_result* result) {
  const portolan_range* top = &request->usable[request->usable_count - 1];
  portolan_range found;
  (void)stage;
  if (!request->free->last_free(request->free->host, &top->last, &found)) {
    snprintf(result->message, sizeof(result->message), "nothing is free");
    return PORTOLAN_PICK_DECLINED;
  }
  result->address = found.last;
  return PORTOLAN_PICK_ADDRESS;
}

static const portolan_address_picker kPicker = {
    .size = sizeof(portolan_address_picker),
    .abi_version = PORTOLAN_ADDRESS_PICKER_ABI_VERSION,
    .name = "highest-free",
    .create = Create,
    .destroy = Destroy,
    .pick = Pick,
};

const portolan_address_picker* portolan_address_picker_v1(void) { return &kPicker; }
