// The one header says to C++ what it says to the kernel: every struct of the built objects (BTF)
// has the fields, offsets and sizes that this compiler gives it.
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <string>

#include "bpf/include/datapath_maps.h"
#include "bpf/programs/object.h"

namespace portolan::bpf {
namespace {

struct Layout {
  size_t size;
  std::map<std::string, size_t> offsets;
};

#define FIELD(type, field) \
  { #field, offsetof(type, field) }

using Layouts = std::map<std::string, Layout>;

// Of what a packet is for.
Layouts Destinations() {
  return {
      {"portolan_frontend_key",
       {sizeof(portolan_frontend_key),
        {FIELD(portolan_frontend_key, address), FIELD(portolan_frontend_key, port),
         FIELD(portolan_frontend_key, protocol), FIELD(portolan_frontend_key, family)}}},
      {"portolan_frontend",
       {sizeof(portolan_frontend),
        {FIELD(portolan_frontend, id), FIELD(portolan_frontend, group),
         FIELD(portolan_frontend, table_offset), FIELD(portolan_frontend, table_size),
         FIELD(portolan_frontend, backends), FIELD(portolan_frontend, epoch),
         FIELD(portolan_frontend, flags), FIELD(portolan_frontend, affinity_s),
         FIELD(portolan_frontend, internal_offset), FIELD(portolan_frontend, internal_size)}}},
      {"portolan_frontend_info",
       {sizeof(portolan_frontend_info),
        {FIELD(portolan_frontend_info, epoch), FIELD(portolan_frontend_info, flags),
         FIELD(portolan_frontend_info, group), FIELD(portolan_frontend_info, idle_s)}}},
      {"portolan_backend",
       {sizeof(portolan_backend),
        {FIELD(portolan_backend, epoch), FIELD(portolan_backend, flags),
         FIELD(portolan_backend, port), FIELD(portolan_backend, family),
         FIELD(portolan_backend, protocol), FIELD(portolan_backend, address),
         FIELD(portolan_backend, source), FIELD(portolan_backend, group),
         FIELD(portolan_backend, reserved)}}},
      {"portolan_table_chunk",
       {sizeof(portolan_table_chunk), {FIELD(portolan_table_chunk, backend)}}},
  };
}

// Of what the programs remember, and the rest.
Layouts Memory() {
  return {
      {"portolan_flow_key4",
       {sizeof(portolan_flow_key4),
        {FIELD(portolan_flow_key4, saddr), FIELD(portolan_flow_key4, daddr),
         FIELD(portolan_flow_key4, sport), FIELD(portolan_flow_key4, dport),
         FIELD(portolan_flow_key4, protocol), FIELD(portolan_flow_key4, reserved)}}},
      {"portolan_flow_key6",
       {sizeof(portolan_flow_key6),
        {FIELD(portolan_flow_key6, saddr), FIELD(portolan_flow_key6, daddr),
         FIELD(portolan_flow_key6, sport), FIELD(portolan_flow_key6, dport),
         FIELD(portolan_flow_key6, protocol), FIELD(portolan_flow_key6, reserved)}}},
      {"portolan_flow",
       {sizeof(portolan_flow),
        {FIELD(portolan_flow, frontend), FIELD(portolan_flow, backend),
         FIELD(portolan_flow, frontend_epoch), FIELD(portolan_flow, backend_epoch),
         FIELD(portolan_flow, last), FIELD(portolan_flow, sport), FIELD(portolan_flow, dport),
         FIELD(portolan_flow, flags)}}},
      {"portolan_flow4",
       {sizeof(portolan_flow4),
        {FIELD(portolan_flow4, flow), FIELD(portolan_flow4, saddr), FIELD(portolan_flow4, daddr)}}},
      {"portolan_flow6",
       {sizeof(portolan_flow6),
        {FIELD(portolan_flow6, flow), FIELD(portolan_flow6, saddr), FIELD(portolan_flow6, daddr)}}},
      {"portolan_settings",
       {sizeof(portolan_settings),
        {FIELD(portolan_settings, layout_version), FIELD(portolan_settings, hash_seed),
         FIELD(portolan_settings, tick_shift), FIELD(portolan_settings, tcp_idle),
         FIELD(portolan_settings, udp_idle), FIELD(portolan_settings, closing_idle),
         FIELD(portolan_settings, port_first), FIELD(portolan_settings, port_count),
         FIELD(portolan_settings, flags), FIELD(portolan_settings, netns_cookie),
         FIELD(portolan_settings, ticks_per_256s), FIELD(portolan_settings, drop_sample)}}},
      {"portolan_address_key",
       {sizeof(portolan_address_key),
        {FIELD(portolan_address_key, address), FIELD(portolan_address_key, family)}}},
      {"portolan_address",
       {sizeof(portolan_address),
        {FIELD(portolan_address, frontends), FIELD(portolan_address, silent)}}},
      {"portolan_source_key",
       {sizeof(portolan_source_key),
        {FIELD(portolan_source_key, prefix_length), FIELD(portolan_source_key, group),
         FIELD(portolan_source_key, family), FIELD(portolan_source_key, address)}}},
      {"portolan_source", {sizeof(portolan_source), {FIELD(portolan_source, allowed)}}},
      {"portolan_affinity_key",
       {sizeof(portolan_affinity_key),
        {FIELD(portolan_affinity_key, group), FIELD(portolan_affinity_key, client)}}},
      {"portolan_affinity",
       {sizeof(portolan_affinity),
        {FIELD(portolan_affinity, backend), FIELD(portolan_affinity, backend_epoch),
         FIELD(portolan_affinity, last)}}},
      {"portolan_fragment_key",
       {sizeof(portolan_fragment_key),
        {FIELD(portolan_fragment_key, saddr), FIELD(portolan_fragment_key, daddr),
         FIELD(portolan_fragment_key, id), FIELD(portolan_fragment_key, protocol),
         FIELD(portolan_fragment_key, family), FIELD(portolan_fragment_key, reserved)}}},
      {"portolan_fragment",
       {sizeof(portolan_fragment),
        {FIELD(portolan_fragment, sport), FIELD(portolan_fragment, dport),
         FIELD(portolan_fragment, last)}}},
      {"portolan_refusals",
       {sizeof(portolan_refusals),
        {FIELD(portolan_refusals, tick), FIELD(portolan_refusals, count)}}},
      {"portolan_address_filter",
       {sizeof(portolan_address_filter), {FIELD(portolan_address_filter, bits)}}},
  };
}

// Of what is counted.
Layouts Counts() {
  return {
      {"portolan_service_drop_key",
       {sizeof(portolan_service_drop_key),
        {FIELD(portolan_service_drop_key, address), FIELD(portolan_service_drop_key, frontend),
         FIELD(portolan_service_drop_key, epoch), FIELD(portolan_service_drop_key, reason),
         FIELD(portolan_service_drop_key, family)}}},
      {"portolan_counter",
       {sizeof(portolan_counter),
        {FIELD(portolan_counter, packets), FIELD(portolan_counter, bytes),
         FIELD(portolan_counter, flows)}}},
  };
}

// Of links and neighbours.
Layouts Links() {
  return {
      {"portolan_interface",
       {sizeof(portolan_interface),
        {FIELD(portolan_interface, ifindex), FIELD(portolan_interface, mac),
         FIELD(portolan_interface, flags)}}},
      {"portolan_neighbour_key",
       {sizeof(portolan_neighbour_key),
        {FIELD(portolan_neighbour_key, address), FIELD(portolan_neighbour_key, ifindex),
         FIELD(portolan_neighbour_key, vlan), FIELD(portolan_neighbour_key, family),
         FIELD(portolan_neighbour_key, reserved)}}},
      {"portolan_neighbour",
       {sizeof(portolan_neighbour),
        {FIELD(portolan_neighbour, key), FIELD(portolan_neighbour, until_ns),
         FIELD(portolan_neighbour, mac), FIELD(portolan_neighbour, reserved)}}},
      {"portolan_neighbours", {sizeof(portolan_neighbours), {FIELD(portolan_neighbours, place)}}},
  };
}

TEST(LayoutTest, EveryStructOfTheProgramsIsTheOneThatUserSpaceCompiles) {
  for (const Object& bytes : {LbXdp(), LbTc()}) {
    LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = bytes.name);
    bpf_object* object = bpf_object__open_mem(bytes.data, bytes.size, &options);
    ASSERT_NE(object, nullptr) << bytes.name;
    const btf* types = bpf_object__btf(object);
    ASSERT_NE(types, nullptr) << bytes.name << " has no BTF";
    Layouts expected = Destinations();
    expected.merge(Memory());
    expected.merge(Links());
    expected.merge(Counts());
    for (const auto& [name, layout] : expected) {
      const int id = btf__find_by_name_kind(types, name.c_str(), BTF_KIND_STRUCT);
      ASSERT_GT(id, 0) << name << " is not in " << bytes.name;
      const btf_type* type = btf__type_by_id(types, id);
      EXPECT_EQ(type->size, layout.size) << name;
      ASSERT_EQ(btf_vlen(type), layout.offsets.size()) << name;
      for (int i = 0; i < btf_vlen(type); i++) {
        const std::string field = btf__name_by_offset(types, btf_members(type)[i].name_off);
        ASSERT_TRUE(layout.offsets.contains(field)) << name << "." << field;
        EXPECT_EQ(btf_member_bit_offset(type, i) / 8, layout.offsets.at(field))
            << name << "." << field;
      }
    }
    bpf_object__close(object);
  }
}

}  // namespace
}  // namespace portolan::bpf
