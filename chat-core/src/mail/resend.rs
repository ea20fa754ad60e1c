//! Mail by Resend.
