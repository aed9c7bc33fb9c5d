#pragma once

#include <string>

#include "config/model/kind.hpp"
#include "config/store/store.hpp"

namespace manul::felix::io {

/// Whether people make such objects, so that a store which has one was not made by our own programs alone. Others are
/// in every store, or come with the first daemon or the first pod.
[[nodiscard]] bool is_made_by_people(model::Kind kind);
[[nodiscard]] bool is_made_by_people(const model::Key& key);

/// Which store the policy comes from that is in force. A new and empty store in its place (the file was deleted, a disk
/// or the data of etcd is lost, a path is wrong) is not the wish to delete everything.
///
/// A store is known by the uid of its ClusterInformation: it is made with the store, also where the store's own
/// identity is no news (etcd's cluster id comes from its members' addresses), and is in each backup. Remembered is a
/// store that has something made by people, in `<run_dir>/store-in-force`: a file that, as the rules, is there until
/// the next boot.
class StoreInForce {
public:
    /// `rules`: there are rules of an earlier run. Without them nothing is in force, whatever was remembered.
    StoreInForce(const std::string& run_dir, bool rules);

    /// Empty where there is no ClusterInformation: on Kubernetes, whose clusters never are without anything that people
    /// made, or in a store that our programs have not completed yet.
    [[nodiscard]] static store::StoreResult<std::string> read_uid(store::Store& store);

    /// `empty`: nothing in the store was made by people.
    [[nodiscard]] bool is_lost(const std::string& uid, bool empty) const;
    /// The store that is in force from now on.
    void note(const std::string& uid, bool empty);

private:
    [[nodiscard]] bool write(const std::string& uid) const;

    std::string path_;
    std::string uid_;  ///< empty: no store
    bool complained_ = false;
};

}  // namespace manul::felix::io
