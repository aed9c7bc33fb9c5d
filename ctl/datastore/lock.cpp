#include <optional>
#include <string>

#include "config/codec/tree.hpp"
#include "ctl/datastore/migrate.hpp"
#include "ctl/datastore/transfer.hpp"

namespace manul::ctl {

namespace {

using store::StoreError;
using store::StoreResult;

constexpr const char* kUnlocked = R"({"apiVersion":"projectcalico.org/v3","kind":"ClusterInformation",)"
                                  R"("metadata":{"name":"default"},"spec":{"datastoreReady":true}})";

StoreResult<void> set_ready(store::Store& store, bool ready) {
    constexpr int kRounds = 5;  // each one more is a rival's write
    for (int round = 0;; ++round) {
        auto found = store.get(cluster_key());
        if (!found && found.error().code == StoreError::Code::not_found) {
            found = store.create(cluster_key(), kUnlocked);
        }
        if (!found) {
            return std::unexpected(std::move(found).error());
        }
        auto document = codec::parse_json(*found->document);
        if (!document) {
            return std::unexpected(StoreError{StoreError::Code::corrupt, document.error().message, {}});
        }
        document->make("spec")
            .make("datastoreReady")
            .assign({.type = codec::Tree::Type::boolean, .text = ready ? "true" : "false"});
        if (codec::Tree* annotations = document->make("metadata").find("annotations");
            ready && annotations != nullptr) {
            annotations->erase(kImportAnnotation);
        }
        const auto written = store.update(cluster_key(), to_json(*document), found->revision);
        if (written) {
            return {};
        }
        if (written.error().code != StoreError::Code::conflict || round == kRounds) {
            return std::unexpected(written.error());
        }
    }
}

ExitCode change(const Context& context, bool ready) {
    if (const auto done = set_ready(*context.store, ready); !done) {
        return context.fail(describe(done.error()));
    }
    context.print(ready ? "Datastore unlocked.\n" : "Datastore locked.\n");
    return ExitCode::ok;
}

}  // namespace

ExitCode lock_datastore(const Context& context) { return change(context, false); }
ExitCode unlock_datastore(const Context& context) { return change(context, true); }

}  // namespace manul::ctl
