#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/codec/json.hpp"
#include "config/codec/tree.hpp"
#include "config/model/kind.hpp"

/// A file with the whole content of a datastore, as objects that may be stored.
///
/// Read are: what `datastore migrate export` wrote; what `calicoctl datastore migrate export` wrote; Calico's etcd as
/// `etcdctl get --prefix /calico -w json` prints it; lists of Calico's custom resources as `kubectl get -o yaml` prints
/// them. Unlike files of people, fields that this version does not know are kept: the writer may have been newer.
namespace manul::ctl {

struct DumpOptions {
    bool for_kubernetes = false;  ///< the target is the Kubernetes API, which has the originals of many objects
    std::map<std::string, std::string, std::less<>> node_names;  ///< old name to new
};

struct DumpedObject {
    model::Key key;
    std::string document;
    codec::StoredFields identity;  ///< uid and creation time, which the document itself does not have
    std::string origin;            ///< file, and line where it is known
    bool has_unknown_fields = false;
};

struct DumpFile {
    std::vector<DumpedObject> objects;
    std::vector<std::string> errors;  ///< all of them; with any, nothing may be written
    std::vector<std::string> notes;   ///< what is left out, renamed or kept without being understood
};

[[nodiscard]] DumpFile read_dump(std::string_view text, const std::string& file_name, const DumpOptions& options);

/// Gives nodes other names wherever an object names one: in Nodes, endpoints, peers, configurations, and in what their
/// addresses are allocated to.
void rename_nodes(codec::Tree& document, const std::map<std::string, std::string, std::less<>>& names);

/// Adds what a Node of Calico is called in Kubernetes, where that is another name.
void add_kubernetes_name(const codec::Tree& document, std::map<std::string, std::string, std::less<>>& names);

}  // namespace manul::ctl
