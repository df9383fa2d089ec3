// The texts of / in Chinese.
export default {
  "sign_in.title": "登录",
  "sign_in.login": "用户名或邮箱地址",
  "sign_in.submit": "登录",
  "sign_in.by_code": "使用邮件验证码登录",
  "sign_in.forgotten": "忘记密码？",
  "sign_in.register": "注册账号",
  "return.to": "登录后将返回 {host}。",

  "code.title": "使用验证码登录",
  "code.ask": "请输入您账号的邮箱地址。我们会向您发送验证码，无需密码即可登录。",
  "code.send": "发送验证码",
  "code.by_password": "使用密码登录",
  "code.enter_title": "输入验证码",
  "code.sent": "如果 {email} 已注册账号，您将收到一封带有验证码的邮件。验证码 10 分钟内有效。如果没有收到，请查看垃圾邮件文件夹。",
  "code.otp": "验证码",
  "code.otp_hint": "请输入最新一封邮件中的数字，空格不影响。",
  "code.again_sent": "新的验证码已发出，之前的验证码已失效。",
  "code.again": "重新发送验证码",

  "signed_in.title": "您已登录",
  "signed_in.account": "我的账号",
  "signed_in.sign_out": "退出登录",

  "field.login.missing": "请输入用户名或邮箱地址。",
  "field.password.missing": "请输入密码。",
  "here.auth.user_suspended": "您输入的内容正确，但此账号已被停用，原因请咨询服务器管理员。",
};
