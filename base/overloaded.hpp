#pragma once

namespace manul {

/// Visitor built from lambdas: std::visit(overloaded{[](A&) {}, [](B&) {}}, variant).
template <class... Fs>
struct overloaded : Fs... {
    using Fs::operator()...;
};

}  // namespace manul
