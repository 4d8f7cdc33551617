BEGIN TRANSACTION;
CREATE TABLE addressee (
    message bigint not null references message (id),
    member bigint not null references member (id),
    primary key (message, member)
);
INSERT INTO "addressee" VALUES(1,3);
INSERT INTO "addressee" VALUES(2,2);
CREATE TABLE capability (
    member bigint not null references member (id),
    capability text not null,
    state text not null check (state in ('declared', 'proven', 'attested', 'failed')),
    since double precision not null,
    until double precision,
    primary key (member, capability)
);
INSERT INTO "capability" VALUES(3,'repo:acme/api','declared',1.79544255764644551274e+09,NULL);
INSERT INTO "capability" VALUES(3,'tool:docker','declared',1.79544255764644551274e+09,NULL);
INSERT INTO "capability" VALUES(4,'repo:acme/api','declared',1.79544255765519356732e+09,NULL);
CREATE TABLE dependency (
    task bigint not null references task (id),
    needs_task bigint not null references task (id),
    primary key (task, needs_task)
);
INSERT INTO "dependency" VALUES(2,1);
CREATE TABLE head (
    id integer primary key check (id = 1),
    created_at double precision not null,
    epoch bigint not null,
    seq bigint not null,
    hash text not null,
    members bigint not null,
    messages bigint not null,
    tasks bigint not null,
    offers bigint not null
);
INSERT INTO "head" VALUES(1,1.79544255717680954938e+09,1,25,'91a688c1bd72b9c3c6032225088813c1cc977f62fe38bbeb65ca120c2b70705d',6,3,4,1);
CREATE TABLE log (
    seq integer primary key,
    epoch bigint not null,
    at double precision not null,
    actor bigint not null references member (id),
    owner bigint not null references member (id),
    act text not null,
    subject text not null,
    outcome text not null,
    summary text,
    detail text,
    salt text,
    digest text not null,
    hash text not null
);
INSERT INTO "log" VALUES(1,1,1.79544255717715215683e+09,1,1,'open','room','ok','The room opens','{}','929bc1dfd66915d6df1e2fa81169949b','06b123e874c3aec6a0caa9b3b8d31e865c6bb919ad63472b34958ccc37e7608b','303d628daa5acac72e5b8001a658ef47ad4092eb65c681127db610ec7c4b1638');
INSERT INTO "log" VALUES(2,1,1.79544255717715215683e+09,1,1,'enroll','@olga','ok','@olga is the room''s owner','{}','69feb71f1ce9437f4d92e8c11a965e6c','385db7ec3cf1f6319ec78b4baaf1322414088eb8acd49b08eb6465e633f880ff','3d2b4892f62c7759ddb48b895839df893be8deab415b12fe304d7ee35a4d51c8');
INSERT INTO "log" VALUES(3,1,1.79544255740669488909e+09,2,2,'enroll','@builder','ok','@olga enrolled @builder (agent, member)','{"label":"default","revive":false,"rotate":false}','96b22961f3e855f85ccecd07c992b45b','a6b99532a920b50b10cbb54f74e705bef593452b1d60fe0288f81d663d906f7d','4c92f03efac00885ddad69a658ea8b74609063a922619a1246070800d84b417d');
INSERT INTO "log" VALUES(4,1,1.79544255747010064122e+09,2,2,'enroll','@tester','ok','@olga enrolled @tester (agent, member)','{"label":"default","revive":false,"rotate":false}','baad4be6ec3258f75048164b09d7e3d7','8a7bfceb36f57b3ca3d91a81cb2530745c46e957c8e2dd3a79c011d81a8af13e','066a50e26d0d348d88aaf60aa42029a89b241813896b48dd0434d8fc2fcb321a');
INSERT INTO "log" VALUES(5,1,1.79544255747809553143e+09,2,2,'enroll','@scribe','ok','@olga enrolled @scribe (agent, member)','{"label":"default","revive":false,"rotate":false}','8ccbe0ea012040c014217ceafd20fda0','555589bf3c2c689b8cb914979bb5fb4866d6e11d6c683450514c7e73518cdb53','0210bf3e53eefccd5be50b3007de65001ebd77e864d65f404ff98fb003f87751');
INSERT INTO "log" VALUES(6,1,1.79544255748230671882e+09,2,2,'enroll','@guest','ok','@olga enrolled @guest (agent, member)','{"label":"default","revive":false,"rotate":false}','b5f3be6be4712d2c3be57eb94da982e2','6c98d95a821d78150e22bbd85bead5dac5018ee4f87b49fd1d5c173fccaaaef3','ba2754941d7aade0e37693bb99fbf785da5d5bb5a8622d66bbd5a20f88437760');
INSERT INTO "log" VALUES(7,1,1.79544255764644551274e+09,3,2,'declare_capabilities','@builder','ok','@builder declares repo:acme/api, tool:docker','{"capabilities":["repo:acme/api","tool:docker"]}','91313f0e77095b61cc3be34237b4f5f0','48b075e6df68a40842627ac8912a89f311d4e072c9d0105cc3acd2fa1b74aae9','d28aa056af545e9f990cdf48d8396c183e3fab67c209d1f2fa6fae3605b448f3');
INSERT INTO "log" VALUES(8,1,1.79544255765519356732e+09,4,2,'declare_capabilities','@tester','ok','@tester declares repo:acme/api','{"capabilities":["repo:acme/api"]}','1b6b552a1b7546dd94bf64f8ea546fa3','b1f7f1aa721d61b4b06d06c9b09c7d7c7c7795f7186f62199522f75d7194d54b','f5017a22bff929383d400113fbaf851cc7691dd6adea94497e8e3ab50bf01ae2');
INSERT INTO "log" VALUES(9,1,1795442557.66642,2,2,'create_task','T-1','ok','@olga created T-1: Rate-limit the login route','{"text":"8aa452a512347ea13ea49a37ad5e8933e45b77aad8eb40f88d5ecef97bc14abd","title":"Rate-limit the login route"}','1420d7f3b08a88c26fdf715feecd3f48','29a0fba8230fc6af19197c7be03593b7456fd99a6f9df566c9591234c05723e8','1a64cfa3f1055d1fc09e89c97f2b09b964d7f2c8b3da4923b01b4ce9b7724d5f');
INSERT INTO "log" VALUES(10,1,1.79544255767752122874e+09,2,2,'create_task','T-2','ok','@olga created T-2: Load-test the login route','{"text":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","title":"Load-test the login route"}','8256cf5fb98571c86e2a61e470d9810e','cb92a4113428383d1d968d04db5ef088bdc87111a9cda4f2a11e090a21201d73','045f44ebdab220187fbb834c8c1ea8f82178170ba7148bb13147e356b529591c');
INSERT INTO "log" VALUES(11,1,1.79544255768324875831e+09,2,2,'create_task','T-3','ok','@olga created T-3: Release notes for 2.4','{"text":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","title":"Release notes for 2.4"}','3198fe109886f210b0e511c1cd84a4d9','5e8a10005480bb4f6fc45f1382b42c67eff49657ab97f9f4ec0c64c1790fd41c','d09fe6cc3919bb3bb437eff45fe16c310f69a4ca18ced57fdd8ddb16e14761d3');
INSERT INTO "log" VALUES(12,1,1.79544255768968105311e+09,2,2,'create_task','T-4','ok','@olga created T-4: Rotate the staging certificates','{"text":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","title":"Rotate the staging certificates"}','91c7081d13d53b1d7746ce2614679554','ffc7bb2ffbbeb5c48bc7718ac3f081446755d855b2c6b294c08d94fa66aba92e','88a95327b8889a3d33f817af01f443d69331859504c09653ddeb3a965d783af2');
INSERT INTO "log" VALUES(13,1,1.79544255769511508936e+09,3,2,'claim_task','T-1','ok','@builder claimed T-1: Rate-limit the login route','{"before":null,"fence":1}','d5f5230ba29ffef462f0bc25d88947b6','9ff1c55e30ad3df03aa37235488b358805db0267386fd2726facebaefa2d226b','db83d757dccc29380c58f1292e532af33724ca7243b8cd73012aad398c543f9a');
INSERT INTO "log" VALUES(14,1,1.79544255770028161997e+09,3,2,'update_task','T-1','ok','@builder updated T-1: The limiter stands; tests next.','{"changes":[],"note":"The limiter stands; tests next.","status":null}','64db22f1e53cf380c58a4586c9618238','c8004e154b03b74f467640e93ff3a281a84f6d51b46d569cb6540974dff4e2b1','6aaa097c197059b30db72d66c1ce46ff83f8360e3a1d9ac2d9993d8a24d71522');
INSERT INTO "log" VALUES(15,1,1.79544255770593690871e+09,5,2,'claim_task','T-3','ok','@scribe claimed T-3: Release notes for 2.4','{"before":null,"fence":1}','94b558ca5af98aaf8b8a365e840b56e1','ed22b4afb060bdd04d42f0769059fdbacdf2f820ecea557b7779016cc9c777ce','67d0301d909bdad8cd42ce753d9bc97b0699fa6001be153557eaf243b3c93783');
INSERT INTO "log" VALUES(16,1,1.79544255771760487552e+09,5,2,'complete_task','T-3','ok','@scribe completed T-3, @tester reviews: Notes are written.','{"evidence":[{"kind":"link","ref":"notes/2.4.md","value":null}],"summary":"Notes are written."}','5c63e6fb10bc5ad4df1fa855934cae95','e34024316b3063b28be8f8347ecaf002f45ed0596f406a470684ffa3fdd35d42','b94b28ccafbb9a300b3303eebeaebee70e60df071a5d3088ef6d94bd30726814');
INSERT INTO "log" VALUES(17,1,1.79544255772268819808e+09,4,2,'claim_task','T-4','ok','@tester claimed T-4: Rotate the staging certificates','{"before":null,"fence":1}','2a306f4575b2310f140d500103aa38cb','ad75dff875c3cac2059789a7cced3b6597c556ed8f2f1af77a111280b1079263','33c9a83ec9a82fbd4a14cf92cb94baa43dd7eb53ccb0de636653fc3cdbc67d5f');
INSERT INTO "log" VALUES(18,1,1.79544255772611045839e+09,4,2,'hand_off','O-1','ok','@tester offers T-4 to @builder: You have the keys.','{"artifacts":[],"task":"T-4","to":"builder"}','c65552f441e78c8015911ec0b522399d','17af2b6fce787c3c10b28fb6442642474deb1fd1393247e86050dca8778f45e6','90d9de820b4e3a8862b0e890fa3b7b3473327d1de308133f2dfffbd496a724e3');
INSERT INTO "log" VALUES(19,1,1.79544255773058080674e+09,2,2,'post_message','M-1','ok','@olga note to @builder: Good morning. The login route comes first.','{"kind":"note","task":null,"text":"45713606f56071f5568a73d6aa7c80e584d4899c1e3ec2e57f510cf6890f43cb"}','14e10c36c5116611e7e3c9b32fb3c083','5d84682db574f2b3e8b76f0563c06b984a38a3c9801ac83faa6830181f4b1716','4988f30df9db85e3fef322b0978ac68491f494270c387868e4686dfc90bf99ec');
INSERT INTO "log" VALUES(20,1,1.79544255773385548588e+09,3,2,'post_message','M-2','ok','@builder note to @olga: Understood: the limiter first, then the load test.','{"kind":"note","task":null,"text":"93109a60f2cb609ae45e26107cffbffbca7b743e9dc240b86886a4b913facc91"}','b5ed79645834074fe5e817d34f1aaffd','be01abd37338f9cf230f822701229d2fe2bca698ac7e49122c4babcac1bea757','d526165592558db17ceb290d526127b4ad3c7c9cd4bf524fe3d1ab499016f616');
INSERT INTO "log" VALUES(21,1,1.79544255774005508423e+09,6,2,'post_message','M-3','ok','@guest note: Hello from a guest.','{"kind":"note","task":null,"text":"d1d010f262fc144d2fd943750c3af7556e1d335ff3bc142528802a881c7505cb"}','1e3824100af24dc926b2a2b073d2d526','e633ca36acbd16f32c0efc45e60c0952c125a794ae58aa93fc5bbadc095cceca','cd4aa764a33c53f31384bd2727e5d3e0bbd70279e46df8844572e065364b101f');
INSERT INTO "log" VALUES(22,1,1.7954425577542965412e+09,2,2,'kill','@guest','ok','@olga killed @guest: the wrong house','{"offers":[],"reason":"the wrong house","tasks":[]}','2c69b00edf2f117ec8fbcf3f77f37ca4','61c3347a9669a90884007ff75d641cf6a01ebe244cb8bf47b099c7c61dca6faf','d18e476c1babd1a79679a7612f3dea282011ae541700294986144e29e4fc5f55');
INSERT INTO "log" VALUES(23,1,1.7954425577580587864e+09,2,2,'pause','@scribe','ok','@olga paused @scribe: until the review is done','{"reason":"until the review is done","until":null}','73b59d104b77236d120a6f6a953bfd94','25ac4e796ce8be84139310b59a2c7f49d9f61921a24b00f1e546113e4004afd9','9b02628ac67e4754397ddea27a43786449d865c1d9ff07c8d36208a6c169c703');
INSERT INTO "log" VALUES(24,1,1.79544255776226830485e+09,2,2,'enroll','@builder','ok','@olga gave @builder a new token (second)','{"label":"second","revive":false,"rotate":false}','a650a218eff4d13d435af04997dc9919','af1528e962c81c2194cc782d0de7ac4b67ae603e8acce414a516b6e7935863a5','f43011c06d6540910eb9b4634fbebdc7f6a2cce2d457d2e6fc1ba95005f23e28');
INSERT INTO "log" VALUES(25,1,1.79544255777190852165e+09,2,2,'enroll','@tester','ok','@olga gave @tester a new token (default)','{"label":"default","revive":false,"rotate":true}','e9c658f12064f5b4c10cb75a22173fbf','94e3b303aee6464e51096f1f34f2e59e8d54ae70a8c999bb81610426cf2ad2dd','91a688c1bd72b9c3c6032225088813c1cc977f62fe38bbeb65ca120c2b70705d');
CREATE TABLE member (
    id integer primary key,
    name text not null unique,
    folded text not null unique,
    kind text not null check (kind in ('agent', 'human', 'room')),
    role text not null check (role in ('member', 'owner', 'operator', 'watchdog', 'observer')),
    owner bigint not null references member (id),
    mode text not null,
    created_at double precision not null,
    acknowledged bigint not null
);
INSERT INTO "member" VALUES(1,'room','room','room','member',1,'live',1.79544255717715215683e+09,0);
INSERT INTO "member" VALUES(2,'olga','olga','human','owner',2,'manual',1.79544255717715215683e+09,1);
INSERT INTO "member" VALUES(3,'builder','builder','agent','member',2,'on_demand',1.79544255740669488909e+09,3);
INSERT INTO "member" VALUES(4,'tester','tester','agent','member',2,'on_demand',1.79544255747010064122e+09,3);
INSERT INTO "member" VALUES(5,'scribe','scribe','agent','member',2,'on_demand',1.79544255747809553143e+09,4);
INSERT INTO "member" VALUES(6,'guest','guest','agent','member',2,'on_demand',1.79544255748230671882e+09,5);
CREATE TABLE message (
    id integer primary key,
    seq bigint not null unique,
    author bigint not null references member (id),
    at double precision not null,
    kind text not null,
    summary text not null,
    text text not null,
    reply_to bigint,
    thread bigint not null,
    task bigint
);
INSERT INTO "message" VALUES(1,19,2,1.79544255773058080674e+09,'note','Good morning. The login route comes first.','Good morning. The login route comes first.',NULL,1,NULL);
INSERT INTO "message" VALUES(2,20,3,1.79544255773385548588e+09,'note','Understood: the limiter first, then the load test.','Understood: the limiter first, then the load test.',1,1,NULL);
INSERT INTO "message" VALUES(3,21,6,1.79544255774005508423e+09,'note','Hello from a guest.','Hello from a guest.',NULL,3,NULL);
CREATE TABLE migration (number integer primary key, name text not null, applied_at double precision not null);
INSERT INTO "migration" VALUES(1,'0001_open_the_room',1.79544255713409137728e+09);
CREATE TABLE need (
    task bigint not null references task (id),
    need text not null,
    primary key (task, need)
);
INSERT INTO "need" VALUES(1,'repo:acme/api');
CREATE TABLE offer (
    id integer primary key,
    task bigint not null references task (id),
    giver bigint not null references member (id),
    receiver bigint not null references member (id),
    note text not null,
    needs text not null,
    artifacts text not null,
    fence bigint not null,
    state text not null check (state in ('offered', 'accepted', 'declined', 'expired', 'withdrawn', 'voided')),
    created_at double precision not null,
    expires_at double precision not null,
    answered_at double precision,
    reason text not null
);
INSERT INTO "offer" VALUES(1,4,4,3,'You have the keys.','[]','[]',1,'offered',1.79544255772611045839e+09,1.79544345772611045834e+09,NULL,'');
CREATE TABLE pause (
    scope text not null,
    target bigint not null,
    since double precision not null,
    until double precision,
    primary key (scope, target, since)
);
INSERT INTO "pause" VALUES('member',5,1.7954425577580587864e+09,NULL);
CREATE TABLE presence (
    member integer primary key references member (id),
    last_call_at double precision,
    last_progress_at double precision,
    last_note text,
    busy_until double precision
);
INSERT INTO "presence" VALUES(1,NULL,NULL,NULL,NULL);
INSERT INTO "presence" VALUES(2,1.79544255740669488909e+09,NULL,NULL,NULL);
INSERT INTO "presence" VALUES(3,1.79544255764644551274e+09,1.79544255770028161997e+09,'5dd7dc1122025286282e2e5d3e91629848c9091a9367aaddd74f03fc311ea6d5',NULL);
INSERT INTO "presence" VALUES(4,1.79544255765519356732e+09,NULL,NULL,NULL);
INSERT INTO "presence" VALUES(5,1.79544255770593690871e+09,NULL,NULL,NULL);
INSERT INTO "presence" VALUES(6,1.79544255774005508423e+09,NULL,NULL,NULL);
CREATE TABLE refusal (
    member bigint not null references member (id),
    act text not null,
    code text not null,
    subject text not null,
    first_at double precision not null,
    seq bigint not null,
    repeats bigint not null,
    primary key (member, act, code, subject)
);
CREATE TABLE request (
    member bigint not null references member (id),
    key text not null,
    act text not null,
    arguments text not null,
    reply text not null,
    at double precision not null,
    until double precision not null,
    primary key (member, key)
);
INSERT INTO "request" VALUES(2,'equal:create_task:b366b6fbaca5aa264a2c6d5ae8de852f6ff85ede2b2f77e2ee0cca7102e01f43','create_task','b366b6fbaca5aa264a2c6d5ae8de852f6ff85ede2b2f77e2ee0cca7102e01f43','{"receipt":9,"replayed":null,"task":"T-1"}',1795442557.66642,1795442617.66642);
INSERT INTO "request" VALUES(2,'equal:create_task:c38d197896b879119920ca67d8e5e187a86ce8e46fd3dd30c0ff17312ed719ca','create_task','c38d197896b879119920ca67d8e5e187a86ce8e46fd3dd30c0ff17312ed719ca','{"receipt":10,"replayed":null,"task":"T-2"}',1.79544255767752122874e+09,1.79544261767752122882e+09);
INSERT INTO "request" VALUES(2,'equal:create_task:69cdd7b413884b562d3200ae833b5cc8b3e5f1475e2997e4ce2f4bfd2ca7e83c','create_task','69cdd7b413884b562d3200ae833b5cc8b3e5f1475e2997e4ce2f4bfd2ca7e83c','{"receipt":11,"replayed":null,"task":"T-3"}',1.79544255768324875831e+09,1.79544261768324875825e+09);
INSERT INTO "request" VALUES(2,'equal:create_task:2358072f793eabf4b85d2e04586636012da9a78a9f7140e13e47ccd53a99a3cd','create_task','2358072f793eabf4b85d2e04586636012da9a78a9f7140e13e47ccd53a99a3cd','{"receipt":12,"replayed":null,"task":"T-4"}',1.79544255768968105311e+09,1.79544261768968105318e+09);
INSERT INTO "request" VALUES(2,'equal:post_message:79eec8400a004424d918463cabcb00540eeb9f4606031b4c6d877765f30ca3d7','post_message','79eec8400a004424d918463cabcb00540eeb9f4606031b4c6d877765f30ca3d7','{"receipt":19,"replayed":null,"message":"M-1","forecast":[{"to":"builder","mode":"on_demand","presence":"live","standing":"active","expected_seconds":null,"p90_seconds":null,"note":"wakes on demand"}]}',1.79544255773058080674e+09,1.79544261773058080669e+09);
INSERT INTO "request" VALUES(3,'equal:post_message:08a22944cd920d11e12391f3e5b2b16e6e99e3ebaa4b7f8391ba5c8de5db2bfd','post_message','08a22944cd920d11e12391f3e5b2b16e6e99e3ebaa4b7f8391ba5c8de5db2bfd','{"receipt":20,"replayed":null,"message":"M-2","forecast":[{"to":"olga","mode":"manual","presence":"live","standing":"active","expected_seconds":null,"p90_seconds":null,"note":"opens when its human does"}]}',1.79544255773385548588e+09,1.79544261773385548596e+09);
INSERT INTO "request" VALUES(6,'equal:post_message:4f24b40d0b592c3bf6b6e9c27d7230c6b5eac3da8fb5875c8fd34dbf1c7e8908','post_message','4f24b40d0b592c3bf6b6e9c27d7230c6b5eac3da8fb5875c8fd34dbf1c7e8908','{"receipt":21,"replayed":null,"message":"M-3","forecast":[]}',1.79544255774005508423e+09,1.79544261774005508422e+09);
CREATE TABLE standing (
    scope text not null check (scope in ('member', 'owner', 'room')),
    target bigint not null,
    state text not null check (state in ('active', 'paused', 'killed')),
    since double precision not null,
    until double precision,
    by_member bigint not null references member (id),
    by_role text not null,
    reason text not null,
    primary key (scope, target)
);
INSERT INTO "standing" VALUES('member',1,'active',1.79544255717715215683e+09,NULL,1,'room','');
INSERT INTO "standing" VALUES('owner',1,'active',1.79544255717715215683e+09,NULL,1,'room','');
INSERT INTO "standing" VALUES('room',0,'active',1.79544255717715215683e+09,NULL,1,'room','');
INSERT INTO "standing" VALUES('member',2,'active',1.79544255717715215683e+09,NULL,1,'room','');
INSERT INTO "standing" VALUES('owner',2,'active',1.79544255717715215683e+09,NULL,1,'room','');
INSERT INTO "standing" VALUES('member',3,'active',1.79544255740669488909e+09,NULL,2,'room','');
INSERT INTO "standing" VALUES('member',4,'active',1.79544255747010064122e+09,NULL,2,'room','');
INSERT INTO "standing" VALUES('member',5,'paused',1.7954425577580587864e+09,NULL,2,'owner','until the review is done');
INSERT INTO "standing" VALUES('member',6,'killed',1.7954425577542965412e+09,NULL,2,'owner','the wrong house');
CREATE TABLE task (
    id integer primary key,
    title text not null,
    detail text not null,
    priority integer not null,
    due double precision,
    creator bigint not null references member (id),
    created_at double precision not null,
    changed_seq bigint not null,
    state text not null check (state in ('open', 'claimed', 'blocked', 'offered', 'in_review', 'done', 'cancelled')),
    assigned bigint references member (id),
    holder bigint references member (id),
    fence bigint not null,
    claimed_at double precision,
    touched_at double precision,
    lease_from double precision,
    lease_seconds double precision not null,
    blocked_on text not null,
    snooze_until double precision,
    review text not null,
    reviewer bigint references member (id),
    completed_by bigint references member (id),
    completed_at double precision,
    summary text not null,
    evidence text not null,
    hops integer not null
);
INSERT INTO "task" VALUES(1,'Rate-limit the login route','Ten a minute.',5,NULL,2,1795442557.66642,14,'claimed',NULL,3,1,1.79544255769511508936e+09,1.79544255770028161997e+09,1.79544255770028161997e+09,3600.0,'',NULL,'auto',NULL,NULL,NULL,'','[]',0);
INSERT INTO "task" VALUES(2,'Load-test the login route','',0,NULL,2,1.79544255767752122874e+09,10,'open',NULL,NULL,0,NULL,NULL,NULL,0.0,'',NULL,'auto',NULL,NULL,NULL,'','[]',0);
INSERT INTO "task" VALUES(3,'Release notes for 2.4','',0,NULL,2,1.79544255768324875831e+09,16,'in_review',NULL,5,1,1.79544255770593690871e+09,1.79544255771760487552e+09,NULL,3600.0,'',NULL,'auto',4,5,1.79544255771760487552e+09,'Notes are written.','[{"kind": "link", "ref": "notes/2.4.md", "value": null}]',0);
INSERT INTO "task" VALUES(4,'Rotate the staging certificates','',0,NULL,2,1.79544255768968105311e+09,18,'offered',NULL,4,1,1.79544255772268819808e+09,1.79544255772611045839e+09,NULL,3.59999657773971557623e+03,'',NULL,'auto',NULL,NULL,NULL,'','[]',0);
CREATE TABLE task_entry (
    task bigint not null references task (id),
    seq bigint not null,
    member bigint not null references member (id),
    at double precision not null,
    kind text not null,
    text text not null,
    detail text not null,
    primary key (task, seq, kind)
);
INSERT INTO "task_entry" VALUES(1,9,2,1795442557.66642,'created','Rate-limit the login route','{}');
INSERT INTO "task_entry" VALUES(2,10,2,1.79544255767752122874e+09,'created','Load-test the login route','{}');
INSERT INTO "task_entry" VALUES(3,11,2,1.79544255768324875831e+09,'created','Release notes for 2.4','{}');
INSERT INTO "task_entry" VALUES(4,12,2,1.79544255768968105311e+09,'created','Rotate the staging certificates','{}');
INSERT INTO "task_entry" VALUES(1,13,3,1.79544255769511508936e+09,'claimed','','{"fence": 1, "before": null}');
INSERT INTO "task_entry" VALUES(1,14,3,1.79544255770028161997e+09,'note','The limiter stands; tests next.','{}');
INSERT INTO "task_entry" VALUES(3,15,5,1.79544255770593690871e+09,'claimed','','{"fence": 1, "before": null}');
INSERT INTO "task_entry" VALUES(3,16,5,1.79544255771760487552e+09,'completed','Notes are written.','{"evidence": [{"kind": "link", "ref": "notes/2.4.md", "value": null}]}');
INSERT INTO "task_entry" VALUES(4,17,4,1.79544255772268819808e+09,'claimed','','{"fence": 1, "before": null}');
INSERT INTO "task_entry" VALUES(4,18,4,1.79544255772611045839e+09,'offered','You have the keys.','{"offer": "O-1", "to": "builder"}');
CREATE TABLE token (
    id text primary key,
    member bigint not null references member (id),
    hash text not null unique,
    label text not null,
    created_at double precision not null,
    expires_at double precision,
    revoked_at double precision
);
INSERT INTO "token" VALUES('tok_f538e6a9c4e2c5e5',2,'fbfbe14c32b00eda80824d23f97d0dd8442df7d3e6b14ad78e5c6cc3459bcdf3','default',1.79544255717715215683e+09,NULL,NULL);
INSERT INTO "token" VALUES('tok_a20e8b638beb5fcf',3,'de517f1baa85b78ccab0126a961694c9ecf098375de7fe06a70fc7967f3c7ec2','default',1.79544255740669488909e+09,NULL,NULL);
INSERT INTO "token" VALUES('tok_4a13aa81b17aec07',4,'d20395317ecb17d949502fff2eb66b6a5b47912f084930f8a3651f990eeae7ed','default',1.79544255747010064122e+09,NULL,1.79544255777190852165e+09);
INSERT INTO "token" VALUES('tok_1ae7b7e75be3b0a0',5,'ceb9c86c8e2b12df2bac89c6458db116611ca1c97d806a9d2317d193d7f66f33','default',1.79544255747809553143e+09,NULL,NULL);
INSERT INTO "token" VALUES('tok_4de351892a9aa27e',6,'04d72d6983dab0bed9cf34dba9acc09f8036981ce6c7a1e0d92c6496c89e974d','default',1.79544255748230671882e+09,NULL,1.7954425577542965412e+09);
INSERT INTO "token" VALUES('tok_675aa561c65efcfc',3,'b69aeeb20a09f0e7511e40f1f145ee28e1ef6654b6bba97ab6d1fc76bf4419a5','second',1.79544255776226830485e+09,NULL,NULL);
INSERT INTO "token" VALUES('tok_b570dd983425b958',4,'963710f9b4d351bbf2d044ec3c336f10f262218801c1538f441c72c8a954c9e3','default',1.79544255777190852165e+09,NULL,NULL);
CREATE TABLE verdict (
    task bigint not null references task (id),
    seq bigint not null,
    completer bigint not null references member (id),
    reviewer bigint not null references member (id),
    upheld integer not null check (upheld in (0, 1)),
    primary key (task, seq)
);
CREATE TABLE wake (
    member bigint not null references member (id),
    seq bigint not null,
    reason text not null,
    subject text not null,
    sender bigint not null references member (id),
    line text not null,
    primary key (member, seq, reason, subject)
);
INSERT INTO "wake" VALUES(4,16,'review','T-3',5,'@scribe completed T-3, please review: Release notes for 2.4');
INSERT INTO "wake" VALUES(3,18,'offer','O-1',4,'You have the keys.');
INSERT INTO "wake" VALUES(3,19,'mention','M-1',2,'Good morning. The login route comes first.');
INSERT INTO "wake" VALUES(2,20,'mention','M-2',3,'Understood: the limiter first, then the load test.');
CREATE INDEX token_member on token (member);
CREATE INDEX log_subject on log (subject, seq);
CREATE INDEX log_actor on log (actor, seq);
CREATE INDEX log_refused on log (actor, at) where outcome = 'refused';
CREATE INDEX message_thread on message (thread, id);
CREATE INDEX message_task on message (task, id) where task is not null;
CREATE INDEX task_state on task (state, priority, id);
CREATE INDEX task_holder on task (holder, state);
CREATE INDEX dependency_needs on dependency (needs_task);
CREATE INDEX verdict_completer on verdict (completer, upheld);
CREATE INDEX offer_task on offer (task, state);
CREATE INDEX offer_receiver on offer (receiver, state);
CREATE INDEX offer_giver on offer (giver, state);
CREATE INDEX capability_name on capability (capability, member);
CREATE INDEX request_until on request (until);
COMMIT;
