// The texts of / in English.
export default {
  "sign_in.title": "Sign in",
  "sign_in.login": "Username or e-mail address",
  "sign_in.submit": "Sign in",
  "sign_in.by_code": "Sign in with a code by mail",
  "sign_in.forgotten": "Forgotten your password?",
  "sign_in.register": "Create an account",
  "return.to": "You will go back to {host} afterwards.",

  "code.title": "Sign in with a code",
  "code.ask": "Enter the address of your account. We mail you a code that signs you in without a password.",
  "code.send": "Send the code",
  "code.by_password": "Sign in with a password",
  "code.enter_title": "Enter the code",
  "code.sent": "If there is an account with the address {email}, a mail with a code is on its way. The code works for 10 minutes. If no mail comes, look in the spam folder too.",
  "code.otp": "Code",
  "code.otp_hint": "The digits from the newest mail. Spaces do not matter.",
  "code.again_sent": "Another code is on its way. The earlier code no longer works.",
  "code.again": "Send another code",

  "signed_in.title": "You are signed in",
  "signed_in.account": "Your account",
  "signed_in.sign_out": "Sign out",

  "field.login.missing": "Enter your username or e-mail address.",
  "field.password.missing": "Enter your password.",
  "here.auth.user_suspended": "What you entered is right, but this account is suspended. Ask the operator of this server why.",
};
