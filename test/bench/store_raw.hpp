#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

/// What the datastores below ours cost by themselves: bytes by key, no schema, no checks, no identity of objects.
namespace manul::bench {

struct Pair {
    std::string key;
    std::string value;
};

class RawStore {
public:
    virtual ~RawStore() = default;
    /// One transaction.
    virtual bool put(std::span<const Pair> pairs) = 0;
    virtual bool get(const std::string& key) = 0;
    /// All pairs whose key begins so, in memory.
    virtual std::vector<Pair> list(const std::string& prefix) = 0;
};

/// One table, write-ahead log, every commit durable. With `changes` a second table is told the key and revision of each
/// write: the least that somebody who watches needs.
[[nodiscard]] std::unique_ptr<RawStore> open_raw_sqlite(const std::string& path, bool changes = false);
/// What every store with revisions and a change log must write: one row of an object by kind, namespace and name with
/// its revision, after reading the present one, compared when it is overwritten; one row of the log; and the identity
/// fields that no document brings along, here always the same. No document is looked at.
[[nodiscard]] std::unique_ptr<RawStore> open_raw_rows(const std::string& path);
/// The API of etcd, through the module's client; lists in pages of 1,000 at one revision. `compares`: each write reads
/// the present revisions first and compares them, as who must not overwrite what he has not seen. Null: there is no
/// module.
[[nodiscard]] std::unique_ptr<RawStore> open_raw_etcd(const std::string& endpoint, bool compares = false);

}  // namespace manul::bench
