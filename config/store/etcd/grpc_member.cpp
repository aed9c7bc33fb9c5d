#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <etcd.grpc.pb.h>
#include "config/store/etcd/member.hpp"

namespace manul::store::etcd {

namespace pb = ::etcdserverpb;

namespace {

/// How long one call waits for a connection before it says that there is none: another member may be well.
constexpr std::chrono::milliseconds kConnectPatience{500};
/// A connection that just failed is given this long to be tried again.
constexpr std::chrono::milliseconds kRetryPatience{60};

/// gRPC's calls wait for deadlines of the wall clock.
std::chrono::system_clock::time_point wall(SteadyTime time) {
    return std::chrono::system_clock::now() +
           std::chrono::duration_cast<std::chrono::system_clock::duration>(time - std::chrono::steady_clock::now());
}

Failure failure_of(const grpc::Status& status) {
    return {static_cast<int>(status.error_code()), status.error_message()};
}

Entry entry_of(pb::KeyValue& from) {
    return {std::move(*from.mutable_key()), std::move(*from.mutable_value()), from.mod_revision()};
}

RangeAnswer answer_of(pb::RangeResponse& from) {
    RangeAnswer out;
    out.revision = from.header().revision();
    out.cluster = from.header().cluster_id();
    out.more = from.more();
    out.entries.reserve(static_cast<std::size_t>(from.kvs_size()));
    for (pb::KeyValue& each : *from.mutable_kvs()) {
        out.entries.push_back(entry_of(each));
    }
    return out;
}

pb::TxnRequest request_of(const Txn& txn) {
    pb::TxnRequest out;
    for (const Comparison& comparison : txn.comparisons) {
        pb::Compare& compare = *out.add_compare();
        compare.set_target(pb::Compare::MOD);
        compare.set_result(comparison.type == Comparison::Type::at ? pb::Compare::EQUAL : pb::Compare::LESS);
        compare.set_key(comparison.range.key);
        compare.set_range_end(comparison.range.end);
        compare.set_mod_revision(comparison.revision);
    }
    for (const Operation& operation : txn.operations) {
        pb::RequestOp& op = *out.add_success();
        switch (operation.type) {
            case Operation::Type::get:
                op.mutable_range()->set_key(operation.key);
                break;
            case Operation::Type::put:
                op.mutable_put()->set_key(operation.key);
                op.mutable_put()->set_value(operation.value);
                break;
            case Operation::Type::remove:
                op.mutable_delete_range()->set_key(operation.key);
                break;
        }
    }
    return out;
}

/// A member without a leader must say so, and not answer as if it were well or keep a watch silent.
void add_metadata(grpc::ClientContext& context, const std::string& token) {
    context.AddMetadata("hasleader", "true");
    if (!token.empty()) {
        context.AddMetadata("token", token);
    }
}

class GrpcStream final : public WatchStream {
public:
    GrpcStream(std::shared_ptr<grpc::Channel> channel, const std::string& token)
        : channel_(std::move(channel)), stub_(pb::Watch::NewStub(channel_)) {
        add_metadata(context_, token);
        stream_ = stub_->Watch(&context_);
    }

    [[nodiscard]] bool create(std::int64_t watch, const Range& range, std::int64_t from) override {
        pb::WatchRequest request;
        pb::WatchCreateRequest& create = *request.mutable_create_request();
        create.set_key(range.key);
        create.set_range_end(range.end);
        create.set_start_revision(from);
        create.set_progress_notify(true);
        create.set_prev_kv(true);
        create.set_watch_id(watch);
        create.set_fragment(true);
        const std::lock_guard lock(writing_);
        return stream_->Write(request);
    }

    void ask_progress() override {
        const std::lock_guard lock(writing_);
        if (!finished_) {
            pb::WatchRequest request;
            request.mutable_progress_request();
            stream_->Write(request);  // a broken stream shows where it is read
        }
    }

    [[nodiscard]] std::optional<WatchAnswer> read() override {
        pb::WatchResponse response;
        if (!stream_->Read(&response)) {
            return std::nullopt;
        }
        WatchAnswer out;
        out.watch = response.watch_id();
        out.revision = response.header().revision();
        out.cluster = response.header().cluster_id();
        out.canceled = response.canceled();
        out.created = response.created();
        out.compacted = response.compact_revision();
        out.reason = std::move(*response.mutable_cancel_reason());
        out.goes_on = response.fragment();
        out.changes.reserve(static_cast<std::size_t>(response.events_size()));
        for (pb::Event& event : *response.mutable_events()) {
            Change& change = out.changes.emplace_back();
            change.removed = event.type() == pb::Event::DELETE;
            change.entry = entry_of(*event.mutable_kv());
            if (change.removed) {
                change.entry.value = std::move(*event.mutable_prev_kv()->mutable_value());
            }
        }
        return out;
    }

    [[nodiscard]] Failure finish() override {
        const std::lock_guard lock(writing_);
        finished_ = true;
        return failure_of(stream_->Finish());
    }
    void cancel() override { context_.TryCancel(); }

private:
    std::shared_ptr<grpc::Channel> channel_;
    std::unique_ptr<pb::Watch::Stub> stub_;
    grpc::ClientContext context_;
    std::unique_ptr<grpc::ClientReaderWriter<pb::WatchRequest, pb::WatchResponse>> stream_;
    std::mutex writing_;  // one thread writes at a time, and none after the end
    bool finished_ = false;
};

class GrpcMember final : public Member {
public:
    GrpcMember(const MemberAddress& address, const TlsMaterial& tls) {
        std::shared_ptr<grpc::ChannelCredentials> credentials = grpc::InsecureChannelCredentials();
        if (address.tls) {
            grpc::SslCredentialsOptions options;
            options.pem_root_certs = tls.ca;
            options.pem_cert_chain = tls.certificate;
            options.pem_private_key = tls.key;
            credentials = grpc::SslCredentials(options);
        }
        grpc::ChannelArguments arguments;
        // A peer that vanishes without a word is found within 13 s, also while a watch waits.
        arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 10'000);
        arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 3'000);
        arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
        arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1'000);
        arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
        arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
        arguments.SetMaxReceiveMessageSize(-1);
        channel_ = grpc::CreateCustomChannel(address.host_port, credentials, arguments);
        kv_ = pb::KV::NewStub(channel_);
        auth_ = pb::Auth::NewStub(channel_);
    }

    [[nodiscard]] Reply<RangeAnswer> range(const Call& call, const RangeQuery& query) override {
        pb::RangeRequest request;
        request.set_key(query.range.key);
        request.set_range_end(query.range.end);
        request.set_limit(query.limit);
        request.set_revision(query.revision);
        pb::RangeResponse response;
        const grpc::Status status = run(call, [&](auto* context) { return kv_->Range(context, request, &response); });
        if (!status.ok()) {
            return std::unexpected(failure_of(status));
        }
        return answer_of(response);
    }

    [[nodiscard]] Reply<TxnAnswer> commit(const Call& call, const Txn& txn) override {
        const pb::TxnRequest request = request_of(txn);
        pb::TxnResponse response;
        const grpc::Status status = run(call, [&](auto* context) { return kv_->Txn(context, request, &response); });
        if (!status.ok()) {
            return std::unexpected(failure_of(status));
        }
        TxnAnswer out;
        out.succeeded = response.succeeded();
        out.revision = response.header().revision();
        out.cluster = response.header().cluster_id();
        for (pb::ResponseOp& each : *response.mutable_responses()) {
            if (each.has_range()) {
                pb::RangeResponse& found = *each.mutable_range();
                out.read.push_back(found.kvs_size() == 0 ? std::nullopt
                                                         : std::optional(entry_of(*found.mutable_kvs(0))));
            }
        }
        return out;
    }

    [[nodiscard]] Reply<void> compact(const Call& call, std::int64_t revision) override {
        pb::CompactionRequest request;
        request.set_revision(revision);
        pb::CompactionResponse response;
        const grpc::Status status = run(call, [&](auto* context) { return kv_->Compact(context, request, &response); });
        if (!status.ok()) {
            return std::unexpected(failure_of(status));
        }
        return {};
    }

    [[nodiscard]] Reply<std::string> authenticate(const Call& call, const std::string& name,
                                                  const std::string& password) override {
        pb::AuthenticateRequest request;
        request.set_name(name);
        request.set_password(password);
        pb::AuthenticateResponse response;
        const grpc::Status status =
            run(call, [&](auto* context) { return auth_->Authenticate(context, request, &response); });
        if (!status.ok()) {
            return std::unexpected(failure_of(status));
        }
        return std::move(*response.mutable_token());
    }

    [[nodiscard]] std::shared_ptr<WatchStream> watch(const std::string& token) override {
        return std::make_shared<GrpcStream>(channel_, token);
    }

private:
    /// Waits for the connection, then makes the call. gRPC moves a connection on only while somebody waits for it:
    /// calls that fail at once, with pauses between them, never find a server that came back. Its own wait-for-ready
    /// would wait to the deadline for a member that is gone, and would not tell why TLS failed.
    template <class Make>
    grpc::Status run(const Call& call, Make make) {
        connect(call.deadline);
        grpc::ClientContext context;
        context.set_deadline(wall(call.deadline));
        add_metadata(context, call.token);
        return make(&context);
    }

    void connect(SteadyTime deadline) {
        const SteadyTime patience = std::min(deadline, std::chrono::steady_clock::now() + kConnectPatience);
        for (grpc_connectivity_state state = channel_->GetState(true); state != GRPC_CHANNEL_READY;
             state = channel_->GetState(true)) {
            const SteadyTime until = state == GRPC_CHANNEL_TRANSIENT_FAILURE
                                         ? std::min(patience, std::chrono::steady_clock::now() + kRetryPatience)
                                         : patience;
            if (!channel_->WaitForStateChange(state, wall(until))) {
                return;  // the call itself says what is wrong
            }
        }
    }

    std::shared_ptr<grpc::Channel> channel_;
    std::unique_ptr<pb::KV::Stub> kv_;
    std::unique_ptr<pb::Auth::Stub> auth_;
};

std::unique_ptr<Member> make_member(const MemberAddress& address, const TlsMaterial& tls) {
    // What gRPC would print on standard error is in the errors that its calls give.
    static std::once_flag silenced;
    std::call_once(silenced, [] {
        if (std::getenv("GRPC_VERBOSITY") == nullptr) {
            gpr_set_log_function([](gpr_log_func_args*) {});
        }
    });
    return std::make_unique<GrpcMember>(address, tls);
}

struct Free {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
    void operator()(X509* certificate) const noexcept { X509_free(certificate); }
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};

std::unique_ptr<X509, Free> certificate_in(const std::string& pem) {
    const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    return std::unique_ptr<X509, Free>(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
}

std::unique_ptr<EVP_PKEY, Free> key_in(const std::string& pem) {
    const std::unique_ptr<BIO, Free> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    const auto no_password = [](char*, int, int, void*) { return -1; };
    return std::unique_ptr<EVP_PKEY, Free>(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
}

Result<void> check_tls(const TlsMaterial& tls) {
    Result<void> done;
    if (!tls.ca.empty() && !certificate_in(tls.ca)) {
        done = fail("datastore.etcd.ca_file holds no certificate in PEM");
    } else if (!tls.certificate.empty()) {
        const auto certificate = certificate_in(tls.certificate);
        const auto key = key_in(tls.key);
        if (!certificate) {
            done = fail("datastore.etcd.cert_file holds no certificate in PEM");
        } else if (!key) {
            done = fail("datastore.etcd.key_file holds no private key in PEM without a password");
        } else if (X509_check_private_key(certificate.get(), key.get()) != 1) {
            done = fail("datastore.etcd.key_file is not the key of the certificate in cert_file");
        }
    }
    ERR_clear_error();  // gRPC would take it for its own
    return done;
}

constexpr GrpcModule kModule{&make_member, &check_tls};

}  // namespace

}  // namespace manul::store::etcd

extern "C" __attribute__((visibility("default"))) const manul::store::etcd::GrpcModule* manul_grpc_module();
const manul::store::etcd::GrpcModule* manul_grpc_module() { return &manul::store::etcd::kModule; }
