/* Extension point "address-picker" for shared objects: which free address does a Service get?
 *
 * Plain C, append-only: fields are only ever added at the end of a struct, and each struct begins
 * with its size as the writer knew it; a reader must not touch what lies beyond that size. A change
 * that breaks this gets a new symbol name and a new version number.
 *
 * The shared object exports one function, portolan_address_picker_v1(). It is loaded when the
 * configuration first names it and is never unloaded, so pointers to its code and constants stay
 * valid for the life of the process. No C++ type and no exception may cross.
 *
 * Threads: create(), pick() and destroy() may be called from any thread; calls for one stage do not
 * overlap. pick() must be a function of its request and of the settings given to create(): no I/O,
 * no clock, no state kept between calls. It must return quickly, since the allocator waits.
 */
#ifndef PORTOLAN_API_ABI_ADDRESS_PICKER_H_
#define PORTOLAN_API_ABI_ADDRESS_PICKER_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PORTOLAN_ADDRESS_PICKER_ABI_VERSION 1
#define PORTOLAN_ADDRESS_PICKER_SYMBOL "portolan_address_picker_v1"

/* Network order. IPv4: the first 4 octets, the others are zero. */
typedef struct portolan_address {
  uint8_t octets[16];
} portolan_address;

/* Inclusive. */
typedef struct portolan_range {
  portolan_address first;
  portolan_address last;
} portolan_range;

/* What is free in one pool and family. Owned by the host, valid during one pick(). Both functions
 * cost O(log fragments) and return 1 and fill *out, or 0 when there is no such range. */
typedef struct portolan_free_space {
  size_t size;
  void* host; /* to be handed back to the functions */
  /* The lowest free range at or above *from, cut to begin there. */
  int (*first_free)(void* host, const portolan_address* from, portolan_range* out);
  /* The highest free range at or below *to, cut to end there. */
  int (*last_free)(void* host, const portolan_address* to, portolan_range* out);
} portolan_free_space;

/* Owned by the host, valid during one pick(). */
typedef struct portolan_pick_request {
  size_t size;
  const char* service; /* "NAMESPACE/NAME", ends with a zero */
  const char* pool;    /* ends with a zero */
  uint32_t family;     /* 4 or 6 */
  uint32_t reserved;   /* 0 */
  uint64_t seed;       /* the same for the life of an installation */
  /* What the pool may hand out at all, taken or not: lowest first, disjoint, at least one. */
  const portolan_range* usable;
  size_t usable_count;
  const portolan_free_space* free; /* at least one address is free */
} portolan_pick_request;

enum {
  PORTOLAN_PICK_DECLINED = 0, /* the allocator tries the next pool */
  PORTOLAN_PICK_ADDRESS = 1
};

/* Owned by the host; the plugin fills it. */
typedef struct portolan_pick_result {
  size_t size;
  portolan_address address; /* with PORTOLAN_PICK_ADDRESS: must be free */
  char message[256];        /* with PORTOLAN_PICK_DECLINED: why; ends with a zero */
} portolan_pick_result;

/* Owned by the shared object, constant, valid for ever. */
typedef struct portolan_address_picker {
  size_t size;
  uint32_t abi_version; /* PORTOLAN_ADDRESS_PICKER_ABI_VERSION */
  uint32_t reserved;    /* 0 */
  const char* name;     /* for people */
  /* A stage out of JSON settings ("" or "{}": defaults), both owned by the caller. The stage is
   * owned by the host, which ends it with destroy(). NULL: the settings do not fit, and `error`
   * (a buffer of the host, error_size octets) says why and names the field. */
  void* (*create)(const char* settings, char* error, size_t error_size);
  void (*destroy)(void* stage);
  /* One of PORTOLAN_PICK_*. */
  int32_t (*pick)(const void* stage, const portolan_pick_request* request,
                  portolan_pick_result* result);
} portolan_address_picker;

/* The exported function's type. NULL: this object does not work on this machine. */
typedef const portolan_address_picker* (*portolan_address_picker_entry)(void);

#ifdef __cplusplus
} /* extern "C" */
#endif

#endif /* PORTOLAN_API_ABI_ADDRESS_PICKER_H_ */
