// A store in an etcd v3 cluster, for the leader of an election. See store.h for the contract.
//
// A batch is one transaction that also compares the create revision of the election's key: what a
// deposed leader still sends does nothing (FAILED_PRECONDITION). A write never waits longer than
// the leadership lasts. Rows are kept under PREFIX, their keys as they are.
//
// etcd takes 128 operations in a transaction unless it is told otherwise, and one is the
// election's.
#pragma once

#include <memory>
#include <string>

#include "services/base/store/etcd_client.h"
#include "services/base/store/etcd_election.h"
#include "services/base/store/store.h"

namespace portolan::store {

inline constexpr size_t kMaxEtcdRows = 127;

// `prefix` must not be empty. `page`: how many rows one read of List() asks for at first.
std::unique_ptr<Store> NewEtcdStore(std::unique_ptr<EtcdClient> client, std::string prefix,
                                    std::shared_ptr<Leadership> leadership, size_t page = 1000);

}  // namespace portolan::store
