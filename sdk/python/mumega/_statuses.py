# SPDX-License-Identifier: Apache-2.0
# Generated from kernel/status.h by kernel/contracts/emit_python.py.
"""One exception class per status."""

from __future__ import annotations

from typing import Dict, Type

from ._error import MumegaError


class UnknownError(MumegaError):
    """An unknown error."""

    code = 1000
    word = "unknown"
    http = 500


class InvalidError(MumegaError):
    """The request cannot be read."""

    code = 1001
    word = "invalid_request"
    http = 400


class InternalError(MumegaError):
    """An internal error."""

    code = 1002
    word = "internal_error"
    http = 500


class UnavailableError(MumegaError):
    """The service is not available."""

    code = 1003
    word = "service_unavailable"
    http = 503


class DeadlineError(MumegaError, TimeoutError):
    """No answer in time."""

    code = 1004
    word = "timeout"
    http = 504


class ValidationError(MumegaError):
    """A field is missing or of the wrong type."""

    code = 1005
    word = "validation_error"
    http = 422


class TooLargeError(MumegaError):
    """The request is larger than allowed."""

    code = 1006
    word = "payload_too_large"
    http = 413


class MethodNotAllowedError(MumegaError):
    """The path does not know this method."""

    code = 1007
    word = "method_not_allowed"
    http = 405


class CancelledError(MumegaError):
    """Cancelled by the caller."""

    code = 1008
    word = "cancelled"
    http = 499


class UnknownOutcomeError(MumegaError):
    """The connection was lost while the call was in flight; it may or may not have been done."""

    code = 1009
    word = "unknown_outcome"
    http = 503


class NotAvailableError(MumegaError):
    """Not available in this configuration."""

    code = 1010
    word = "not_implemented"
    http = 501


class StoreFailedError(MumegaError):
    """Storage failed."""

    code = 1011
    word = "internal_error"
    http = 500


class OutOfMemoryError(MumegaError):
    """Out of memory."""

    code = 1012
    word = "service_unavailable"
    http = 503


class BusyError(MumegaError):
    """Too much work is waiting; try again later."""

    code = 1013
    word = "service_busy"
    http = 503


class BadGatewayError(MumegaError):
    """Another server gave an answer that cannot be used."""

    code = 1014
    word = "bad_gateway"
    http = 502


class HelloRequiredError(MumegaError):
    """The session must begin with a hello."""

    code = 1015
    word = "hello_required"
    http = 400


class VersionUnsupportedError(MumegaError):
    """No common protocol version."""

    code = 1016
    word = "version_unsupported"
    http = 400


class UnauthorizedError(MumegaError):
    """Not authenticated."""

    code = 2001
    word = "unauthorized"
    http = 401


class ForbiddenError(MumegaError):
    """Not permitted."""

    code = 2002
    word = "forbidden"
    http = 403


class TokenExpiredError(MumegaError):
    """The capability has expired."""

    code = 2003
    word = "token_expired"
    http = 403


class TokenInvalidError(MumegaError):
    """The capability's signature is wrong."""

    code = 2004
    word = "token_invalid"
    http = 401


class ScopeDeniedError(MumegaError):
    """The capability does not cover this."""

    code = 2005
    word = "scope_denied"
    http = 403


class CapabilityMissingError(MumegaError):
    """This call needs a capability."""

    code = 2006
    word = "missing_capability"
    http = 401


class NotFoundError(MumegaError):
    """Not found."""

    code = 3001
    word = "not_found"
    http = 404


class AlreadyExistsError(MumegaError):
    """Already exists."""

    code = 3002
    word = "already_exists"
    http = 409


class ConflictError(MumegaError):
    """Not allowed in this state."""

    code = 3003
    word = "conflict"
    http = 409


class GoneError(MumegaError):
    """No longer there."""

    code = 3004
    word = "gone"
    http = 410


class RateLimitedError(MumegaError):
    """Too many requests."""

    code = 4001
    word = "rate_limited"
    http = 429


class QuotaExceededError(MumegaError):
    """A limit is reached."""

    code = 4002
    word = "quota_exceeded"
    http = 429


class CircuitOpenError(MumegaError):
    """Failing too often; not tried for a while."""

    code = 4003
    word = "circuit_open"
    http = 503


class ModelUnavailableError(MumegaError):
    """The model is not available."""

    code = 5001
    word = "model_unavailable"
    http = 503


class ModelOverloadedError(MumegaError):
    """The model is overloaded."""

    code = 5002
    word = "model_overloaded"
    http = 503


class ContextTooLongError(MumegaError):
    """The conversation is too long."""

    code = 5003
    word = "context_too_long"
    http = 400


class GenerationFailedError(MumegaError):
    """The model failed to answer."""

    code = 5004
    word = "generation_failed"
    http = 502


class NoModelsError(MumegaError):
    """No model is available."""

    code = 5005
    word = "no_models_available"
    http = 503


class MemoryFullError(MumegaError):
    """The memory quota is reached."""

    code = 6001
    word = "memory_full"
    http = 429


class VectorError(MumegaError):
    """The vector index failed."""

    code = 6002
    word = "vector_error"
    http = 500


class EmbeddingFailedError(MumegaError):
    """No embedding could be made."""

    code = 6003
    word = "embedding_failed"
    http = 502


class RetrievalFailedError(MumegaError):
    """Memories could not be read."""

    code = 6004
    word = "retrieval_failed"
    http = 500


class InsufficientFundsError(MumegaError):
    """Not enough funds."""

    code = 7001
    word = "insufficient_funds"
    http = 402


class InvalidTransactionError(MumegaError):
    """The transaction is not valid."""

    code = 7002
    word = "invalid_transaction"
    http = 400


class LedgerError(MumegaError):
    """The ledger failed."""

    code = 7003
    word = "ledger_error"
    http = 500


class ToolNotFoundError(MumegaError):
    """No such tool."""

    code = 8001
    word = "tool_not_found"
    http = 404


class ToolFailedError(MumegaError):
    """The tool failed."""

    code = 8002
    word = "tool_execution_failed"
    http = 502


class ToolTimeoutError(MumegaError):
    """The tool did not finish in time."""

    code = 8003
    word = "tool_timeout"
    http = 504


class ToolDeniedError(MumegaError):
    """The tool may not do this."""

    code = 8004
    word = "tool_permission_denied"
    http = 403


class SandboxError(MumegaError):
    """The sandbox failed."""

    code = 8005
    word = "sandbox_error"
    http = 500


BY_CODE: Dict[int, Type[MumegaError]] = {
    1000: UnknownError,
    1001: InvalidError,
    1002: InternalError,
    1003: UnavailableError,
    1004: DeadlineError,
    1005: ValidationError,
    1006: TooLargeError,
    1007: MethodNotAllowedError,
    1008: CancelledError,
    1009: UnknownOutcomeError,
    1010: NotAvailableError,
    1011: StoreFailedError,
    1012: OutOfMemoryError,
    1013: BusyError,
    1014: BadGatewayError,
    1015: HelloRequiredError,
    1016: VersionUnsupportedError,
    2001: UnauthorizedError,
    2002: ForbiddenError,
    2003: TokenExpiredError,
    2004: TokenInvalidError,
    2005: ScopeDeniedError,
    2006: CapabilityMissingError,
    3001: NotFoundError,
    3002: AlreadyExistsError,
    3003: ConflictError,
    3004: GoneError,
    4001: RateLimitedError,
    4002: QuotaExceededError,
    4003: CircuitOpenError,
    5001: ModelUnavailableError,
    5002: ModelOverloadedError,
    5003: ContextTooLongError,
    5004: GenerationFailedError,
    5005: NoModelsError,
    6001: MemoryFullError,
    6002: VectorError,
    6003: EmbeddingFailedError,
    6004: RetrievalFailedError,
    7001: InsufficientFundsError,
    7002: InvalidTransactionError,
    7003: LedgerError,
    8001: ToolNotFoundError,
    8002: ToolFailedError,
    8003: ToolTimeoutError,
    8004: ToolDeniedError,
    8005: SandboxError,
}

__all__ = ["UnknownError", "InvalidError", "InternalError", "UnavailableError", "DeadlineError", "ValidationError",
           "TooLargeError", "MethodNotAllowedError", "CancelledError", "UnknownOutcomeError", "NotAvailableError",
           "StoreFailedError", "OutOfMemoryError", "BusyError", "BadGatewayError", "HelloRequiredError",
           "VersionUnsupportedError", "UnauthorizedError", "ForbiddenError", "TokenExpiredError",
           "TokenInvalidError", "ScopeDeniedError", "CapabilityMissingError", "NotFoundError", "AlreadyExistsError",
           "ConflictError", "GoneError", "RateLimitedError", "QuotaExceededError", "CircuitOpenError",
           "ModelUnavailableError", "ModelOverloadedError", "ContextTooLongError", "GenerationFailedError",
           "NoModelsError", "MemoryFullError", "VectorError", "EmbeddingFailedError", "RetrievalFailedError",
           "InsufficientFundsError", "InvalidTransactionError", "LedgerError", "ToolNotFoundError",
           "ToolFailedError", "ToolTimeoutError", "ToolDeniedError", "SandboxError"]
