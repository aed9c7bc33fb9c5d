#pragma once

#include <functional>
#include <memory>

#include "base/error.hpp"
#include "config/settings.hpp"
#include "config/store/store.hpp"

namespace manul::config {

/// The store that the settings name. Fails only for a datastore that this build does not have: opening touches neither
/// disk nor network, the first call does. Fields that it changes in objects with owners become this program's.
[[nodiscard]] Result<std::unique_ptr<store::Store>> open_store(const Settings& settings);
/// The same for the API server, which writes for others and says itself who owns which fields.
[[nodiscard]] Result<std::unique_ptr<store::Store>> open_store_for_api(const Settings& settings);
/// The same for daemons whose reaction to a change nobody waits for: where a commit wakes its watchers one by one,
/// theirs come later, and together when there are many.
[[nodiscard]] Result<std::unique_ptr<store::Store>> open_store_patiently(const Settings& settings);
/// The same for command-line programs: does not check the whole file on opening.
[[nodiscard]] Result<std::unique_ptr<store::Store>> open_store_for_command(const Settings& settings);

/// What discards the store's old history, to be called every few minutes by one process of the cluster. Empty where a
/// store sees to it by itself.
[[nodiscard]] std::function<Result<void>()> make_compactor(const Settings& settings);

}  // namespace manul::config
