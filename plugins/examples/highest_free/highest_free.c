/* Example of an address picker in a shared object: the highest free address of the pool.
 *
 * Build it with Bazel (//plugins/examples/highest_free:highest_free.so) or by hand:
 *   cc -shared -fPIC -I REPOSITORY -o highest_free.so highest_free.c
 * Settings: {"skip": N} leaves the N highest addresses of the pool alone. The YANG module beside
 * this file lets them be configured as nodes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/abi/address_picker.h"

#define MAX_SKIP 65535u

typedef struct stage {
  uint32_t skip;
} stage;

/* 1 and *skip, or 0 when the text is something else. */
static int ReadSettings(const char* settings, uint32_t* skip) {
  int end = 0;
  *skip = 0;
  if (strcmp(settings, "") == 0 || strcmp(settings, "{}") == 0) return 1;
  if (sscanf(settings, " { \"skip\" : %" SCNu32 " } %n", skip, &end) != 1) return 0;
  return end > 0 && settings[end] == '\0' && *skip <= MAX_SKIP;
}

static void* Create(const char* settings, char* error, size_t error_size) {
  stage* made = malloc(sizeof(*made));
  if (made == NULL) {
    snprintf(error, error_size, "out of memory");
  } else if (!ReadSettings(settings, &made->skip)) {
    snprintf(error, error_size, "settings: highest-free has only skip, 0 to %u", MAX_SKIP);
    free(made);
    made = NULL;
  }
  return made;
}

static void Destroy(void* made) { free(made); }

/* *address less `by`, or 0 when there is no such address. */
static int Subtract(portolan_address* address, size_t octets, uint32_t by) {
  for (size_t i = octets; i > 0 && by > 0; i--) {
    const uint32_t low = by & 0xff;
    by >>= 8;
    if (address->octets[i - 1] < low) by++; /* borrowed */
    address->octets[i - 1] = (uint8_t)(address->octets[i - 1] - low);
  }
  return by == 0;
}

static int32_t Pick(const void* made, const portolan_pick_request* request,
                    portolan_pick_result* result) {
  const stage* settings = made;
  portolan_address top = request->usable[request->usable_count - 1].last;
  portolan_range found;
  if (!Subtract(&top, request->family == 4 ? 4 : 16, settings->skip) ||
      !request->free->last_free(request->free->host, &top, &found)) {
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
