import json
from harness import *
from sklearn.linear_model import Ridge
sc={};PR={}
for s in TIERS:
    for r in rows(s): sc[s,r["id"]]=r["scores"]; PR[s,r["id"]]=r["prompt"]
def load_labels(which):
    lab={}
    if which=="first":
        key=json.load(open("key.json"))
        for h in range(8):
            for l in open(f"label/{h}/labels.txt"):
                k,a,b=l.split(); lab[k]=(float(a)/100,float(b)/100)
    else:
        key=json.load(open("key2.json"))
        for h in range(8):
            for l in open(f"routeC/{h}/answers.txt"):
                k,a,b,w=l.split(); lab[k]=(float(a)/100,float(b)/100)
    return {tuple(v):lab[k] for k,v in key.items() if v[0] in TIERS}
lg=lambda p:np.log(np.clip(p,.02,.98)/(1-np.clip(p,.02,.98)))
def build(lab):
    S={}
    for s,t in TIERS.items():
        kk=[k for k in lab if k[0]==s and all(m in sc[k] for m in t.values())]
        pair=np.array([sc[k][t["deep"]]-sc[k][t["fast"]] for k in kk])
        full=[m for m in sorted({m for k in kk for m in sc[k]}) if all(m in sc[k] for k in kk)]
        A=np.array([[sc[k][m] for m in full] for k in kk]); o=np.argsort(A.mean(0)); b=max(1,len(full)//3)
        many=A[:,o[-b:]].mean(1)-A[:,o[:b]].mean(1)
        a=np.array([lab[k][0] for k in kk]);l=np.array([lab[k][1] for k in kk])
        S[s]=(np.c_[a,l,a*a,a*l,l*l,lg(a),lg(l)],pair,many,np.array([len(PR[k]) for k in kk],float))
    return S
F,C=build(load_labels("first")),build(load_labels("C"))
def run(train,test,name):
    P,M,row=[],[],[]
    for t in test:
        X=np.concatenate([v[0] for k,v in train.items() if k!=t]); Y=np.concatenate([(v[1]-v[1].mean())/v[1].std() for k,v in train.items() if k!=t]); W=np.concatenate([np.full(len(v[1]),1/len(v[1])**.5) for k,v in train.items() if k!=t])
        mu,sd=X.mean(0),X.std(0)+1e-9
        X2,pair,many,L=test[t]
        p=Ridge(30).fit((X-mu)/sd,Y,W/W.mean()).predict((X2-mu)/sd)
        bp=boot({"p":p,"L":L},pair,400); bm=boot({"p":p,"L":L},many,400); P.append(bp["p"]-bp["L"]); M.append(bm["p"]-bm["L"])
        row.append(f"{t} {apgr(p,pair)-apgr(L,pair):+.3f} ({np.quantile(P[-1],.025):+.3f} … {np.quantile(P[-1],.975):+.3f}) / {apgr(p,many)-apgr(L,many):+.3f} ({np.quantile(M[-1],.025):+.3f} … {np.quantile(M[-1],.975):+.3f})")
    print(name,*row,sep="\n   "); P=np.mean(P,0);M=np.mean(M,0)
    print("   mean pair %.3f"%P.mean(),np.quantile(P,[.025,.975]).round(3),"many %.3f"%M.mean(),np.quantile(M,[.025,.975]).round(3))
run(F,F,"first LOSO"); run(C,C,"C LOSO"); run(F,C,"map from the first rows, other sets; measured on C's fresh rows")
