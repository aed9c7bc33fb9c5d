#pragma once

#include <string>

#include "config/store/store.hpp"

namespace manul::config {

/// Which store that comes from which is in force: policy, or sessions and routes. A new and empty store in its place
/// (the file was deleted, a disk or the data of etcd is lost, a path is wrong) is not the wish to delete everything.
///
/// A store is known by the uid of its ClusterInformation: it is made with the store, also where the store's own
/// identity is no news (etcd's cluster id comes from its members' addresses), and is in each backup. Remembered is a
/// store that has something made by people, in a file of the run directory: like what is in the kernel, it is there
/// until the next boot.
class StoreInForce {
public:
    /// `left_over`: there may be something in force of an earlier run. Otherwise nothing is, whatever was remembered.
    StoreInForce(std::string path, bool left_over);

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

}  // namespace manul::config
