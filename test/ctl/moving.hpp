#pragma once

#include <catch2/catch.hpp>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "config/store/memory.hpp"
#include "ctl/context.hpp"
#include "ctl/datastore/migrate.hpp"

namespace manul::test {

/// The pool of most of their stores.
inline const model::Key kPool{model::Kind::ip_pool, "", "p"};

/// manulctl over one datastore; what it prints is kept.
struct MovingTool {
    explicit MovingTool(std::unique_ptr<store::Store> over = store::make_memory()) : store(std::move(over)) {}

    ctl::Context context() {
        out.clear();
        err.clear();
        ctl::Context made{.settings = {},
                          .store = store.get(),
                          .out = [this](std::string_view text) { out += text; },
                          .err = [this](std::string_view text) { err += text; },
                          .read_standard_input = [this] { return input; },
                          .out_is_terminal = false};
        made.settings.datastore.type = type;
        made.settings.datastore.path = path;
        return made;
    }
    std::string export_all(const std::string& format = "yaml") {
        const auto done = export_datastore(context(), {.file = {}, .format = format});
        INFO(err);
        REQUIRE(done == ctl::ExitCode::ok);
        return out;
    }
    ctl::ExitCode import_text(std::string text, ctl::ImportOptions options = {}) {
        input = std::move(text);
        options.file = "-";
        return import_datastore(context(), options);
    }
    void put(const model::Key& key, std::string_view document) const {
        const auto done = store->create(key, document);
        INFO((done ? "" : ctl::describe(done.error())));
        REQUIRE(done);
    }
    [[nodiscard]] bool has(const model::Key& key) const { return store->get(key).has_value(); }
    [[nodiscard]] std::string document(const model::Key& key) const {
        const auto found = store->get(key);
        INFO(key.to_string());
        REQUIRE(found);
        return *found->document;
    }
    [[nodiscard]] bool complains(std::string_view text) const { return err.find(text) != std::string::npos; }
    [[nodiscard]] bool says(std::string_view text) const { return out.find(text) != std::string::npos; }

    std::unique_ptr<store::Store> store;
    config::DatastoreType type = config::DatastoreType::memory;
    std::string path;
    std::string input;
    std::string out;
    std::string err;
};

}  // namespace manul::test
