// The texts of /reset in English.
export default {
  "reset.title": "Choose a new password",
  "reset.choose": "After that, you sign in with the new password on all your devices.",
  "reset.new_password": "New password",
  "reset.submit": "Set password",
  "reset.changed_title": "Your password is set",
  "reset.changed": "All earlier sign-ins have ended. Sign in with the new password.",
  "reset.ask_title": "Forgotten your password?",
  "reset.ask": "Enter the address of your account. We send you a link to set a new password.",
  "reset.invalid_title": "This link does not work any more",
  "reset.invalid": "It has been used, has expired, or was replaced by a newer mail. Enter the address of your account to receive another one.",
  "reset.send": "Send the link",
  "reset.sent_title": "Check your mail",
  "reset.sent": "If there is an account with the address {email}, a mail with a link is on its way. The link works for one hour.",
  "reset.sent_next": "If no mail comes within a few minutes, look in the spam folder, or check the spelling of the address.",
  "reset.sign_in": "Sign in",
  "reset.another": "Use another address",
};
