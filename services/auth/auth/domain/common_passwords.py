"""The first guesses: passwords of eight and more characters that lead every published list, in lower case."""

COMMON_PASSWORDS = frozenset(
    """
    00000000 0000000000 0123456789 11111111 111111111 1111111111 11223344 112233445566 12121212 12312312 123123123
    12344321 1234512345 123454321 12345678 123456789 1234567890 12345678910 12345qwert 1234abcd 1234qwer 123abc123
    123qweasd 123qweasdzxc 147258369 159357456 159753456 1q2w3e4r 1q2w3e4r5t 1q2w3e4r5t6y 1qaz2wsx 1qaz2wsx3edc
    1qazxsw2 22222222 31415926 33333333 44444444 55555555 66666666 741852963 77777777 789456123 87654321 88888888
    963852741 987654321 9876543210 99999999 a1234567 a12345678 a123456789 aa123456 aa12345678 abc12345 abc123456
    abcd1234 abcd12345 abcdefg1 abcdefgh access14 adidas123 admin123 admin1234 admin@123 administrator alexander
    alexandra anderson andromeda anthony1 arsenal1 asdf1234 asdf;lkj asdfasdf asdfghjk asdfghjkl asdfjkl; babygirl
    babygirl1 backdoor barcelona baseball baseball1 basketball batman123 benjamin bigdaddy billabong birthday bitcoin1
    bitcoin123 blink182 brooklyn buster123 butterfly carolina caroline cashmoney catherine changeme changeme1
    changeme123 charlie1 charlotte cheese123 chelsea1 chester1 chicago1 chocolate christian christina christopher
    coffee123 computer computer1 consumer cookie123 corvette courtney cowboys1 crypto123 cryptovault cryptovault1
    daniel123 danielle december default1 diamond1 dolphin1 dragon123 dragonball einstein elephant elizabeth enter123
    ethereum facebook facebook1 fernando fireball firebird football football1 forever1 formula1 freedom1 friends1
    fuckyou1 fuckyou123 gabriel1 garfield genesis1 gfhjkm123 giovanni godzilla goldfish google123 grandma1 greenday
    guest1234 hardcore harrypotter hello123 hello1234 helloworld hollywood homeless hunter123 hurricane iloveyou
    iloveyou! iloveyou1 iloveyou2 infinity internet internet1 isabella jackson1 jasmine1 jennifer jennifer1 jessica1
    jesus123 johncena jonathan jordan23 joshua123 justdoit justin123 kawasaki killer123 kimberly king1234 kristina
    lacrosse lasvegas lawrence letmein! letmein1 letmein123 liverpool liverpool1 login123 lollipop london123 love1234
    lovelove loveme123 loverboy lucky123 macintosh manchester marathon marlboro marseille martinez master123 matthew1
    maverick maxwell1 mercedes mercury1 metallica michael1 michelle michelle1 microsoft midnight mitchell monkey123
    monster1 montana1 motorola mountain mustang1 mynameis1 naruto123 nicholas nicole123 nintendo nothing1 november
    ntcnbrjd october1 p4ssw0rd p@55w0rd p@ssw0rd p@ssword pa$$w0rd pa55w0rd pa55word panasonic pass1234 passw0rd
    passw0rd1 password password! password. password1 password1! password12 password123 password123! password1234
    password12345 password2 password3 passwort patricia patrick1 peanut123 peekaboo petersen phoenix1 pineapple
    playboy1 playstation pokemon1 pokemon123 porsche911 portugal presario princess princess1 q1w2e3r4 q1w2e3r4t5
    q1w2e3r4t5y6 qazwsx123 qazwsxedc qqqqqqqq qwe123qwe qweasdzxc qweqweqwe qwer1234 qwerasdf qwert123 qwert12345
    qwerty12 qwerty123 qwerty1234 qwerty12345 qwerty123456 qwertyui qwertyuiop qwertyuiop123 qwertz123 rainbow1
    ranger123 rastaman rebecca1 reddevil redskins remember ricardo1 richard1 roadrunner robert123 rockstar rush2112
    samantha samantha1 sample123 samsung1 samsung123 satoshi1 satoshinakamoto savannah scarface scooter1 scorpion
    secret123 security september shadow123 shannon1 sherlock silver123 skywalker slipknot slipknot1 snickers snowball
    soccer123 softball something spartan117 spiderman spiderman1 spongebob starcraft starlight startrek starwars
    starwars1 steelers stephanie strawberry summer123 summer2024 summer2025 summer2026 sunflower sunshine sunshine1
    superman superman1 superstar swordfish test1234 test12345 testing1 testing123 testtest thailand thunder1
    thunderbird tinkerbell tottenham trustno1 tuesday1 twilight ultimate unicorn1 user1234 vacation valentin valentina
    valentine vampire1 vanessa1 victoria victoria1 vincent1 virginia volkswagen wait4me1 warcraft warrior1 webmaster
    welcome1 welcome1! welcome123 welcome@123 westside whatever whatever1 wildcats william1 willow123 winner123
    winter123 winter2024 winter2025 winter2026 wolverine woodland wordpass wwwwwwww xavier123 xxxxxxxx yankees1
    yellow123 yourmom1 zaq12wsx zaq1xsw2 zaq1zaq1 zxcvbnm, zxcvbnm,./ zxcvbnm1 zxcvbnm123 zzzzzzzz
    """.split()  # noqa: SIM905 - five hundred quoted strings are harder to read and to extend
)
